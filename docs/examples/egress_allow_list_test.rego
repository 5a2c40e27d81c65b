package sentinel.egress_allow_list_test

import data.sentinel.egress_allow_list as policy

to(ip) := object.union(data.sentinel.events.connect_internal, {"destination": {"ip": ip}})

test_its_networks if {
	every ip in ["10.0.0.7", "192.0.2.9", "2001:db8:5::1", "127.0.0.1", "::1"] {
		count(policy.deny) == 0 with input as to(ip)
	}
}

test_everywhere_else if {
	every ip in ["10.0.1.7", "203.0.113.7", "2001:db8::7"] {
		count(policy.deny) == 1 with input as to(ip)
	}
}

test_other_programs_are_free if {
	count(policy.deny) == 0 with input as data.sentinel.events.connect
}

test_payment_network_is_the_servers if {
	some rule in policy.block_cidrs
	rule.except.executables == ["/opt/shop/server"]
}
