package sentinel.process_injection_test

import data.sentinel.fixtures as fx
import data.sentinel.process_injection.alert

test_debugger_attached if {
	alert == {"debugger attached: gdb -p 812"} with input as fx.exec("/usr/bin/bash", "/usr/bin/gdb", ["gdb", "-p", "812"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/strace", ["strace", "-p812", "-e", "read"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/gdb", ["gdb", "--pid=812"])
}

test_debugger_starts_its_program if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/gdb", ["gdb", "./a.out"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/strace", ["strace", "-f", "ls"])
}

test_foreign_memory_written if {
	count(alert) == 1 with input as fx.write("/usr/bin/python3.11", "/proc/812/mem")
}

test_own_memory_written if {
	count(alert) == 0 with input as fx.write("/usr/bin/python3.11", "/proc/4242/mem")
}

test_memory_read if {
	count(alert) == 0 with input as fx.open("/usr/bin/python3.11", "/proc/812/mem")
}
