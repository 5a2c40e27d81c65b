package sentinel.impair_defenses_test

import data.sentinel.fixtures as fx
import data.sentinel.impair_defenses.alert

test_audit_stopped if {
	alert == {"security service stopped: systemctl stop auditd.service"} with input as fx.exec("/usr/bin/bash", "/usr/bin/systemctl", ["systemctl", "stop", "auditd.service"])
}

test_sentinel_disabled if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/systemctl", ["systemctl", "disable", "--now", "sentinel"])
}

test_upgrade_stops_audit if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/systemctl", ["systemctl", "stop", "auditd"]), "/usr/bin/dpkg")
}

test_other_service_stopped if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/systemctl", ["systemctl", "stop", "nginx"])
}

test_security_service_started if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/systemctl", ["systemctl", "start", "auditd"])
}

test_selinux_permissive if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/setenforce", ["setenforce", "0"])
}

test_selinux_enforcing if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/sbin/setenforce", ["setenforce", "1"])
}

test_audit_rules_deleted if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/auditctl", ["auditctl", "-D"])
}

test_audit_rules_reloaded if {
	count(alert) == 0 with input as fx.started_by(fx.exec("/usr/bin/dash", "/usr/sbin/auditctl", ["auditctl", "-D"]), "/usr/bin/dash", ["/bin/sh", "/sbin/augenrules", "--load"])
}

test_audit_rules_listed if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/sbin/auditctl", ["auditctl", "-l"])
}

test_firewall_flushed if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/xtables-nft-multi", ["iptables", "-F"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/nft", ["nft", "flush", "ruleset"])
}

test_firewall_switched_off if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/ufw", ["ufw", "disable"])
}

test_one_chain_flushed if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dockerd", "/usr/sbin/xtables-nft-multi", ["iptables", "-t", "nat", "-F", "DOCKER"])
}
