package sentinel.embargo_with_licence_test

import data.sentinel.embargo_with_licence as policy

test_countries_of_the_programmes if {
	{"CU", "IR", "KP"} & policy.block_countries == {"CU", "IR", "KP"}
}

test_every_exception_ends if {
	every exemption in policy.exemptions {
		exemption.expires != ""
		exemption.reference != ""
	}
}

test_a_programme_of_ones_own if {
	policy.block_countries == {"XK"} with data.embargo as {"ours": {"countries": ["XK"]}}
}
