package sentinel.polkit_files_test

import data.sentinel.fixtures as fx
import data.sentinel.polkit_files.alert
import data.sentinel.polkit_files.deny

rule := "/etc/polkit-1/rules.d/00-x.rules"

test_shell_writes_a_rule if {
	alert == {"/usr/bin/bash writes /etc/polkit-1/rules.d/00-x.rules"} with input as fx.write("/usr/bin/bash", rule)
}

test_server_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/mysqld", rule)
	count(alert) == 0 with input as fx.write("/usr/sbin/mysqld", rule)
}

test_those_who_may_pass if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/dpkg", "/usr/share/polkit-1/actions/x.policy.dpkg-new")
	count(deny | alert) == 0 with input as fx.write("/usr/bin/nano", "/etc/doas.conf")
	count(deny | alert) == 0 with input as fx.write("/usr/bin/passwd", "/etc/security/opasswd")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/lib/polkit-1/polkitd", rule)
}
