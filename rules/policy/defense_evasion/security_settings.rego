# METADATA
# title: Settings of the defences
# description: Files that decide what is logged, confined and let through. Stopping the services is in impair_defenses.
package sentinel.security_settings

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.editors

settings := [
	"/etc/audit/", "/etc/rsyslog", "/etc/syslog-ng/", "/etc/systemd/journald", "/etc/apparmor.d/", "/etc/apparmor/", "/etc/selinux/", "/etc/fail2ban/", "/etc/falco/", "/etc/sentinel/",
	"/etc/osquery/", "/var/ossec/etc/", "/etc/nftables", "/etc/iptables/", "/etc/ufw/", "/etc/firewalld/", "/etc/sysconfig/iptables", "/etc/default/ufw", "/etc/logrotate",
]

caretakers := {"augenrules", "auditd", "auditctl", "apparmor_parser", "aa-enforce", "semodule", "semanage", "setsebool", "load_policy", "firewalld", "iptables-save", "netfilter-persistent", "sentinel", "osqueryd", "wazuh-modulesd", "systemd"}

# Python scripts.
caretaker_scripts := {"/usr/sbin/ufw", "/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/sbin/aa-complain", "/usr/sbin/aa-enforce", "/usr/bin/fail2ban-server", "/usr/sbin/augenrules", "/sbin/augenrules", "/usr/sbin/semanage"}

# METADATA
# title: Network service writes settings of the defences
# description: A server is made to change what is logged or let through. The entry keeps this server from this file.
# custom:
#   id: security-settings-write-by-network-service
#   severity: critical
#   mitre: [T1562.001, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, settings)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Settings of the defences written
# description: Auditing, logging, access control or the firewall, by something other than their own tools, an editor or a package manager. Configuration management does so too.
# custom:
#   id: security-settings-write
#   severity: medium
#   mitre: [T1562.001, T1562.006, T1562.012]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, settings)
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, caretakers | editors)
	not caretaker_script
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: SELinux switched through its file system
# description: A write to /sys/fs/selinux/enforce or /disable does what setenforce does, without it.
# custom:
#   id: selinux-switch-write
#   severity: critical
#   mitre: [T1562.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	changed
	input.file.path in {"/sys/fs/selinux/enforce", "/sys/fs/selinux/disable"}
	not programs.expected(input.process, {"setenforce", "systemd", "load_policy"})
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}

caretaker_script if input.process.args[1] in caretaker_scripts
