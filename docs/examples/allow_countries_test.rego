package sentinel.allow_countries_test

import data.sentinel.allow_countries as policy

test_five_countries if {
	count(policy.allow_countries) == 5
}

test_elsewhere if {
	count(policy.alert) == 1 with input as data.sentinel.events.connect_country
}

test_at_home if {
	count(policy.alert) == 0 with input as data.sentinel.events.connect
}

test_private_addresses_have_no_country if {
	count(policy.alert) == 0 with input as data.sentinel.events.connect_internal
}
