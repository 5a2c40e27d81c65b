package sentinel.kernel_helpers_test

import data.sentinel.fixtures as fx
import data.sentinel.kernel_helpers.alert

test_shell_sets_the_crash_helper if {
	alert == {"/usr/bin/bash writes /proc/sys/kernel/core_pattern"} with input as fx.write("/usr/bin/bash", "/proc/sys/kernel/core_pattern")
}

test_shell_switches_protection_off if {
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/proc/sys/kernel/randomize_va_space")
}

test_those_who_may_pass if {
	count(alert) == 0 with input as fx.write("/usr/lib/systemd/systemd-sysctl", "/proc/sys/kernel/core_pattern")
	count(alert) == 0 with input as fx.write("/usr/sbin/sysctl", "/proc/sys/kernel/kptr_restrict")
	count(alert) == 0 with input as fx.args(fx.write("/usr/bin/python3.11", "/proc/sys/kernel/core_pattern"), ["/usr/bin/python3", "/usr/share/apport/apport", "--start"])
}

test_container_is_told_elsewhere if {
	count(alert) == 0 with input as fx.in_container(fx.write("/usr/bin/bash", "/proc/sys/kernel/core_pattern"))
}

test_reading_passes if {
	count(alert) == 0 with input as fx.open("/usr/bin/cat", "/proc/sys/kernel/core_pattern")
}
