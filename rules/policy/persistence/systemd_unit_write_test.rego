package sentinel.systemd_unit_write_test

import data.sentinel.fixtures as fx
import data.sentinel.systemd_unit_write.alert
import data.sentinel.systemd_unit_write.deny

test_shell_writes_a_unit if {
	alert == {"/usr/bin/bash writes the start-up file /etc/systemd/system/x.service"} with input as fx.write("/usr/bin/bash", "/etc/systemd/system/x.service")
}

test_unit_of_a_user if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/home/ann/.config/systemd/user/x.timer")
}

test_log_in_script if {
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/etc/profile.d/x.sh")
}

test_copy_of_systemctl if {
	count(alert) == 1 with input as fx.write("/var/tmp/systemctl", "/etc/systemd/system/x.service")
}

test_web_server_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/apache2", "/etc/systemd/system/x.service")
	count(alert) == 0 with input as fx.write("/usr/sbin/apache2", "/etc/systemd/system/x.service")
}

test_systemctl_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/systemctl", "/etc/systemd/system/x.service")
}

test_package_manager_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/usr/lib/systemd/system/nginx.service.dpkg-new")
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.write("/usr/bin/perl", "/etc/systemd/system/multi-user.target.wants/nginx.service"), "/usr/bin/dpkg")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/etc/systemd/system/x.service")
}

test_a_unit_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/etc/systemd/system/x.service")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
