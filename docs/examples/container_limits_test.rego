package sentinel.container_limits_test

import data.sentinel.container_limits.deny

inside(event) := object.union(event, {"container": {"id": "3f4e9c1b7a52"}})

test_application_starts_a_shell if {
	count(deny) == 1 with input as inside(data.sentinel.events.exec_shell_by_web_server)
}

test_somebody_enters if {
	count(deny) == 0 with input as data.sentinel.events.container_exec
}

test_host_is_left_alone if {
	count(deny) == 0 with input as data.sentinel.events.exec_shell_by_web_server
	count(deny) == 0 with input as data.sentinel.events.connect_metadata
}

test_metadata_service if {
	count(deny) == 1 with input as inside(data.sentinel.events.connect_metadata)
	count(deny) == 0 with input as data.sentinel.events.container_connect
}
