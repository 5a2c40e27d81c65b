# METADATA
# title: No compilers on servers
# description: A server runs what was built elsewhere; whoever compiles on it brought something along. Package scripts may.
package sentinel.no_compilers

compilers := {"gcc", "g++", "cc", "c++", "clang", "tcc", "cc1", "cc1plus", "as", "ld", "ld.bfd", "ld.gold", "ld.lld", "rustc", "go"}

# METADATA
# title: Compiler starts
# description: By name, also by the names that Debian gives to versions (x86_64-linux-gnu-gcc-12).
# custom:
#   id: no-compilers
#   severity: medium
#   mitre: [T1027.004]
#   accept: [entry-wider-than-rule]
deny contains msg if {
	input.event.action == "exec"
	compiler(input.process.name)
	not by_package
	msg := sprintf("%s compiles", [input.process.executable])
}

compiler(name) if regex.replace(name, `^[a-z0-9_]+-linux-gnu-|-[0-9.]+$`, "") in compilers

by_package if {
	some ancestor in input.process.ancestors
	ancestor.executable == "/usr/bin/dpkg"
}
