package sentinel.fileless_exec_test

import data.sentinel.fileless_exec.alert
import data.sentinel.fileless_exec.deny
import data.sentinel.fixtures as fx

test_memfd if {
	deny == {"execution of /memfd:x (deleted) by /usr/bin/python3.11"} with input as fx.exec("/usr/bin/python3.11", "/memfd:x (deleted)", ["kworker/0:1"])
}

test_script_in_a_memfd if {
	count(deny) == 1 with input as fx.script("/usr/bin/python3.11", "/usr/bin/dash", "/memfd:x (deleted)")
}

test_memfd_named_like_a_container_runtime if {
	count(deny) == 1 with input as fx.exec("/usr/bin/perl", "/memfd:runc_cloned:/proc/self/exe (deleted)", ["runc", "init"])
}

test_container_runtime_protects_itself if {
	count(deny | alert) == 0 with input as fx.exec("/usr/sbin/runc", "/memfd:runc_cloned:/proc/self/exe (deleted)", ["runc", "init"])
}

test_copy_of_a_container_runtime if {
	count(deny) == 1 with input as fx.exec("/tmp/runc", "/memfd:x (deleted)", ["runc", "init"])
}

test_deleted_file if {
	alert == {"execution of /opt/.x (deleted)"} with input as fx.exec("/usr/bin/bash", "/opt/.x (deleted)", ["x"])
}

test_deleted_file_is_no_memfd if {
	count(deny) == 0 with input as fx.exec("/usr/bin/bash", "/opt/.x (deleted)", ["x"])
}

test_restart_after_an_upgrade_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dockerd (deleted)", "/usr/bin/dockerd (deleted)", ["docker-untar"])
}

test_dropped_file_that_restarts_itself if {
	count(alert) == 1 with input as fx.exec("/tmp/x (deleted)", "/tmp/x (deleted)", ["x"])
}

test_ordinary_file_passes if {
	count(deny | alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/ls", ["ls"])
}
