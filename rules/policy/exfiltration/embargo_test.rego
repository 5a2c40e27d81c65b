package sentinel.embargo_test

import data.sentinel.embargo
import data.sentinel.fixtures as fx

test_countries if {
	embargo.block_countries == {"CU", "IR", "KP", "SY"}
}

test_no_event_changes_them if {
	embargo.block_countries == {"CU", "IR", "KP", "SY"} with input as fx.connect("/usr/bin/curl", "203.0.113.7", 443)
}

test_only_country_codes if {
	every code in embargo.block_countries {
		count(code) == 2
		upper(code) == code
	}
}
