package sentinel.memory_secrets_test

import data.sentinel.fixtures as fx
import data.sentinel.memory_secrets.alert

test_kernel_memory if {
	alert == {"/usr/bin/python3.11 opens /proc/kcore"} with input as fx.open("/usr/bin/python3.11", "/proc/kcore")
	count(alert) == 1 with input as fx.open("/usr/bin/dd", "/dev/mem")
}

test_dmidecode_passes if {
	count(alert) == 0 with input as fx.open("/usr/sbin/dmidecode", "/dev/mem")
}

test_memory_of_another_process if {
	count(alert) == 1 with input as fx.open("/usr/bin/python3.11", "/proc/812/mem")
}

test_dropped_program if {
	alert == {"/tmp/mimipenguin, which nobody installed, opens /proc/812/mem"} with input as fx.open("/tmp/mimipenguin", "/proc/812/mem")
	count(alert) == 1 with input as fx.open("/memfd:x (deleted)", "/proc/812/mem")
}

test_own_memory_passes if {
	count(alert) == 0 with input as fx.open("/tmp/x", "/proc/4242/mem")
	count(alert) == 0 with input as fx.open("/usr/bin/python3.11", "/proc/4242/mem")
}

test_debugger_passes if {
	count(alert) == 0 with input as fx.open("/usr/bin/gdb", "/proc/812/mem")
}

test_other_files_of_that_name_pass if {
	count(alert) == 0 with input as fx.open("/tmp/x", "/srv/mem")
}
