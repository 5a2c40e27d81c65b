# METADATA
# title: Defences switched off
# description: Auditing, mandatory access control, the firewall or a security agent is stopped.
package sentinel.impair_defenses

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

agents := [
	"auditd", "sentinel", "falco", "wazuh-agent", "osqueryd", "crowdstrike", "falcon-sensor", "auditbeat", "filebeat", "elastic-agent",
	"apparmor", "firewalld", "ufw", "nftables", "fail2ban", "rsyslog", "syslog-ng", "clamav", "tetragon", "mdatp",
]

# METADATA
# title: Security service stopped
# description: systemctl or service stops, disables or masks a security service outside a package's own scripts.
# custom:
#   id: security-service-stopped
#   severity: high
#   mitre: [T1562.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in {"systemctl", "service", "invoke-rc.d", "rc-service"}
	some verb in input.process.args
	verb in {"stop", "disable", "mask", "kill"}
	some unit in input.process.args
	trim_suffix(unit, ".service") in agents
	not by_package_manager
	msg := sprintf("security service stopped: %s", [command_line])
}

# METADATA
# title: Auditing or access control switched off
# description: setenforce 0, auditctl -e 0 or -D, aa-disable, aa-teardown.
# custom:
#   id: access-control-disabled
#   severity: high
#   mitre: [T1562.001, T1562.012]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	switches_off(programs.name(input.process))
	not by_package_manager
	not audit_rules_reloaded
	msg := sprintf("access control or auditing switched off: %s", [command_line])
}

# METADATA
# title: Firewall emptied
# description: All rules flushed at once. Container and firewall managers flush single chains.
# custom:
#   id: firewall-flushed
#   severity: medium
#   mitre: [T1562.004]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	flushes(programs.name(input.process))
	not by_package_manager
	msg := sprintf("firewall emptied: %s", [command_line])
}

switches_off(name) if {
	name == "setenforce"
	input.process.args[1] in {"0", "Permissive", "permissive"}
}

switches_off(name) if {
	name == "auditctl"
	"-D" in input.process.args
}

switches_off(name) if {
	name == "auditctl"
	contains(command_line, "-e 0")
}

switches_off(name) if name in {"aa-disable", "aa-teardown", "aa-complain"}

# augenrules and auditd's own start-up empty the table before they fill it.
audit_rules_reloaded if programs.expected(input.process.parent, {"augenrules", "auditd", "systemd"})

audit_rules_reloaded if input.process.parent.args[1] in {"/sbin/augenrules", "/usr/sbin/augenrules"}

flushes(name) if {
	name in {"iptables", "ip6tables", "xtables-nft-multi", "xtables-legacy-multi"}
	input.process.args[count(input.process.args) - 1] in {"-F", "--flush"}
	not "-t" in input.process.args
}

flushes(name) if {
	name == "nft"
	contains(command_line, "flush ruleset")
}

flushes(name) if {
	name == "ufw"
	"disable" in input.process.args
}
