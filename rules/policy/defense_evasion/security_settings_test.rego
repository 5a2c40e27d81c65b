package sentinel.security_settings_test

import data.sentinel.fixtures as fx
import data.sentinel.security_settings.alert
import data.sentinel.security_settings.deny

test_audit_rules_changed if {
	alert == {"/usr/bin/sed writes /etc/audit/rules.d/audit.rules"} with input as fx.write("/usr/bin/sed", "/etc/audit/rules.d/audit.rules")
}

test_own_settings if {
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/etc/sentinel/sentinel.toml")
}

test_server_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/nginx", "/etc/rsyslog.conf")
	count(alert) == 0 with input as fx.write("/usr/sbin/nginx", "/etc/rsyslog.conf")
}

test_those_who_may_pass if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/vim.basic", "/etc/rsyslog.conf")
	count(deny | alert) == 0 with input as fx.write("/usr/bin/dpkg", "/etc/apparmor.d/usr.sbin.x.dpkg-new")
	count(deny | alert) == 0 with input as fx.write("/usr/sbin/apparmor_parser", "/etc/apparmor.d/cache/x")
	count(deny | alert) == 0 with input as fx.args(fx.write("/usr/bin/python3.11", "/etc/ufw/user.rules"), ["/usr/bin/python3", "/usr/sbin/ufw", "allow", "22"])
}

test_selinux_switch if {
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/sys/fs/selinux/enforce")
	count(alert) == 0 with input as fx.write("/usr/sbin/setenforce", "/sys/fs/selinux/enforce")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/sbin/rsyslogd", "/etc/rsyslog.conf")
}
