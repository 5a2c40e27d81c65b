package sentinel.timestomp_test

import data.sentinel.fixtures as fx
import data.sentinel.timestomp.alert

test_age_of_a_neighbour if {
	alert == {"time of a system file set: touch -r /usr/bin/ls /usr/bin/x"} with input as fx.exec("/usr/bin/bash", "/usr/bin/touch", ["touch", "-r", "/usr/bin/ls", "/usr/bin/x"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/touch", ["touch", "--date=2020-01-01", "/etc/cron.d/x"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/touch", ["touch", "--reference=/usr/bin/ls", "/usr/bin/x"])
}

test_build_sets_times_of_its_own_files if {
	count(alert) == 0 with input as fx.exec("/usr/bin/make", "/usr/bin/touch", ["touch", "-r", "a.c", "build/a.o"])
}

test_touch_without_a_time if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/bin/touch", ["touch", "/etc/nologin"])
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/touch", ["touch", "-r", "/etc/a", "/etc/b"]), "/usr/bin/dpkg")
}

test_debugfs if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/debugfs", ["debugfs", "-w", "/dev/sda1"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/sbin/debugfs", ["debugfs", "-R", "stat <8>", "/dev/sda1"])
}
