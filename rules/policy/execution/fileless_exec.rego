# METADATA
# title: Execution without a file
# description: A program that has no name in any directory leaves nothing to scan.
package sentinel.fileless_exec

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.container_runtimes

# METADATA
# title: Execution from memory
# description: A memfd is executed. Container runtimes protect themselves by running from one, nobody else should. The entry holds for this memfd; another one is another object.
# custom:
#   id: memfd-exec
#   severity: high
#   mitre: [T1620, T1027.011]
#   maturity: stable
deny contains msg if {
	input.event.action == "exec"
	some path in images
	files.memfd(path)
	not container_runtime(input.process.previous.executable)
	msg := sprintf("execution of %s by %s", [path, input.process.previous.executable])
}

# METADATA
# title: Execution of a deleted file
# description: The file was unlinked before it was executed. A program that starts itself again after an upgrade is left out.
# custom:
#   id: deleted-file-exec
#   severity: high
#   mitre: [T1070.004, T1620]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	some path in images
	files.unlinked(path)
	not restarts_itself(path)
	msg := sprintf("execution of %s", [path])
}

images contains input.file.path

images contains input.process.executable

container_runtime(path) if {
	programs.base(path) in container_runtimes
	programs.installed(path)
}

restarts_itself(path) if {
	programs.installed(path)
	trim_suffix(input.process.previous.executable, " (deleted)") == trim_suffix(path, " (deleted)")
}
