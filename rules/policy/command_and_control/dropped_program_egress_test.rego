package sentinel.dropped_program_egress_test

import data.sentinel.dropped_program_egress.alert
import data.sentinel.dropped_program_egress.deny
import data.sentinel.fixtures as fx

test_program_in_memory if {
	deny == {"/memfd:x (deleted) contacts 203.0.113.7"} with input as fx.connect("/memfd:x (deleted)", "203.0.113.7", 443)
}

test_deleted_program if {
	count(deny) == 1 with input as fx.connect("/home/ann/.cache/x (deleted)", "203.0.113.7", 443)
	count(alert) == 0 with input as fx.connect("/tmp/x (deleted)", "203.0.113.7", 443)
}

test_upgraded_program_passes if {
	count(deny | alert) == 0 with input as fx.connect("/usr/sbin/nginx (deleted)", "203.0.113.7", 443)
	count(deny | alert) == 0 with input as fx.connect("/opt/shop/server (deleted)", "203.0.113.7", 443)
}

test_program_in_tmp if {
	count(deny) == 0 with input as fx.connect("/tmp/x", "203.0.113.7", 443)
	count(alert) == 1 with input as fx.connect("/tmp/x", "203.0.113.7", 443)
}

test_program_in_tmp_inside_the_network if {
	count(alert) == 0 with input as fx.connect("/tmp/x", "10.0.0.7", 443)
}

test_installer_of_a_package_passes if {
	count(alert) == 0 with input as fx.under(fx.connect("/tmp/helper", "203.0.113.7", 443), "/usr/bin/dpkg")
}

test_own_name_look_ups if {
	count(alert) == 2 with input as fx.udp(fx.connect("/dev/shm/x", "203.0.113.53", 53))
}

test_installed_program_passes if {
	count(deny | alert) == 0 with input as data.sentinel.events.connect
	count(deny | alert) == 0 with input as data.sentinel.events.send_dns
}
