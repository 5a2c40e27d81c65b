package sentinel.ld_preload_test

import data.sentinel.fixtures as fx
import data.sentinel.ld_preload.alert

test_shell_writes_the_list if {
	alert == {"/usr/bin/bash writes /etc/ld.so.preload"} with input as fx.write("/usr/bin/bash", "/etc/ld.so.preload")
}

test_reading_the_list_passes if {
	count(alert) == 0 with input as fx.open("/usr/bin/ls", "/etc/ld.so.preload")
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.write("/usr/bin/sed", "/etc/ld.so.preload"), "/usr/bin/dpkg")
}

test_env_with_a_library_in_tmp if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/env", ["env", "LD_PRELOAD=/tmp/x.so", "sudo", "-l"])
}

test_shell_with_a_library_in_dev_shm if {
	count(alert) == 1 with input as fx.exec("/usr/bin/python3.11", "/usr/bin/dash", ["sh", "-c", "LD_AUDIT=/dev/shm/x.so su"])
}

test_installed_library_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/env", ["env", "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "redis-server"])
}

test_preload_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/etc/ld.so.preload")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
