# METADATA
# title: Library preloading
# description: A library forced into every program, which hides files and steals passwords.
package sentinel.ld_preload

import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

# METADATA
# title: /etc/ld.so.preload written
# description: Every program reads this file when it starts, so an entry on it could stop the writer from starting at all. It is an alert.
# custom:
#   id: ld-so-preload-write
#   severity: critical
#   mitre: [T1574.006]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	path == "/etc/ld.so.preload"
	not by_package_manager
	msg := sprintf("%s writes /etc/ld.so.preload", [input.process.executable])
}

# METADATA
# title: Program started with a preloaded library from a writable directory
# description: LD_PRELOAD or LD_AUDIT names a library in a world-writable directory. Only seen when it is an argument, as with env or sh -c.
# custom:
#   id: ld-preload-argument
#   severity: high
#   mitre: [T1574.006]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	contains(command_line, "LD_")
	some variable in ["LD_PRELOAD=", "LD_AUDIT="]
	some directory in ["/tmp/", "/var/tmp/", "/dev/shm/"]
	contains(command_line, concat("", [variable, directory]))
	msg := sprintf("library from a writable directory preloaded: %s", [command_line])
}
