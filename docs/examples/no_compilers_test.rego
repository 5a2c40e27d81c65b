package sentinel.no_compilers_test

import data.sentinel.no_compilers as policy

started(name) := object.union(data.sentinel.events.exec, {"process": {"name": name}})

test_compilers_by_any_name if {
	every name in ["gcc", "x86_64-linux-gnu-gcc-12", "cc1", "x86_64-linux-gnu-ld.bfd", "tcc"] {
		count(policy.deny) == 1 with input as started(name)
	}
}

test_other_programs if {
	every name in ["make", "asciidoc", "gcc-wrapper", "ldconfig"] {
		count(policy.deny) == 0 with input as started(name)
	}
}

test_package_scripts_may if {
	event := object.union(started("gcc"), {"process": {"ancestors": [{"executable": "/usr/bin/dpkg"}]}})
	count(policy.deny) == 0 with input as event
}
