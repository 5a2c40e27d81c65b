package sentinel.system_binaries_test

import data.sentinel.fixtures as fx
import data.sentinel.system_binaries.alert
import data.sentinel.system_binaries.deny

test_shell_replaces_ls if {
	alert == {"/usr/bin/cp writes /usr/bin/ls"} with input as fx.write("/usr/bin/cp", "/usr/bin/ls")
}

test_library_replaced if {
	count(alert) == 1 with input as fx.write("/usr/bin/gcc-12", "/usr/lib/x86_64-linux-gnu/libc.so.6")
}

test_server_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/mysqld", "/usr/lib64/plugin.so")
	count(alert) == 0 with input as fx.write("/usr/sbin/mysqld", "/usr/lib64/plugin.so")
}

test_package_manager_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/usr/bin/ls.dpkg-new")
}

test_caches_pass if {
	count(alert) == 0 with input as fx.write("/usr/sbin/ldconfig.real", "/usr/lib/x86_64-linux-gnu/libx.so.1")
	count(alert) == 0 with input as fx.write("/usr/bin/python3.11", "/usr/lib64/python3.11/x.pyc")
}

test_own_program_is_only_noted if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/usr/local/bin/tool")
	count(deny) == 0 with input as fx.write("/usr/bin/cp", "/usr/local/bin/tool")
}

test_own_program_changed if {
	count(alert) == 0 with input as object.union(fx.write("/usr/bin/cp", "/usr/local/bin/tool"), {"file": {"create": false}})
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cp", "/usr/bin/ls")
}

test_a_program_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/usr/bin/ls")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
