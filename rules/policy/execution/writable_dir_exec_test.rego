package sentinel.writable_dir_exec_test

import data.sentinel.fixtures as fx
import data.sentinel.writable_dir_exec.alert

test_binary_in_tmp if {
	alert == {"execution of /tmp/a.out"} with input as fx.exec("/usr/bin/bash", "/tmp/a.out", ["./a.out"])
}

test_binary_in_var_tmp if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/var/tmp/.cache/run", ["run"])
}

test_script_in_tmp if {
	alert == {"execution of /tmp/x.sh"} with input as fx.script("/usr/bin/bash", "/usr/bin/dash", "/tmp/x.sh")
}

test_script_with_an_interpreter_in_tmp if {
	alert == {"execution of /tmp/python"} with input as fx.script("/usr/bin/bash", "/tmp/python", "/home/ann/x.py")
}

test_deleted_binary_in_tmp if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/tmp/#12345 (deleted)", ["x"])
}

test_binary_in_dev_shm if {
	alert == {"execution of /dev/shm/x"} with input as fx.exec("/usr/bin/bash", "/dev/shm/x", ["x"])
}

test_binary_in_usr_bin_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/ls", ["ls", "/tmp/"])
}

test_directory_that_only_begins_like_tmp_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/tmpfiles/run", ["run"])
}

test_loader_runs_a_file_in_tmp if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", ["ld.so", "/tmp/x"])
}

test_musl_loader_runs_a_file_in_dev_shm if {
	count(alert) == 1 with input as fx.exec("/bin/busybox", "/lib/ld-musl-x86_64.so.1", ["ld-musl", "--", "/dev/shm/x"])
}

test_ldd_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", ["ld.so", "--verify", "/tmp/x"])
}
