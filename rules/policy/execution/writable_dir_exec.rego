# METADATA
# title: Execution from a world-writable directory
# description: Where dropped tools are started from, since everyone may write there.
package sentinel.writable_dir_exec

import data.sentinel.lib.files
import data.sentinel.lib.programs

# METADATA
# title: Execution from /tmp or /var/tmp
# description: Build systems and installers do this too, so it is an alert.
# custom:
#   id: exec-from-tmp
#   severity: medium
#   mitre: [T1059, T1036.005]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	some path in images
	files.temporary(path)
	msg := sprintf("execution of %s", [path])
}

# METADATA
# title: Execution from /dev/shm or elsewhere below /dev
# description: Files there live in memory and vanish with it; no package installs programs there.
# custom:
#   id: exec-from-dev
#   severity: high
#   mitre: [T1059, T1564]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	some path in images
	files.device_tree(path)
	msg := sprintf("execution of %s", [path])
}

# METADATA
# title: Dynamic loader runs a file from a world-writable directory
# description: Passing a program to ld.so runs it without executing it, past noexec mounts and path rules.
# custom:
#   id: loader-runs-writable-file
#   severity: high
#   mitre: [T1574, T1620]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	is_loader(programs.base(input.process.executable))
	some argument in input.process.args
	files.world_writable(argument)
	not inspects
	msg := sprintf("%s runs %s", [input.process.executable, argument])
}

# The file named by execve and the image that runs: they differ for a script.
images contains input.file.path

images contains input.process.executable

is_loader(name) if startswith(name, "ld-linux")

is_loader(name) if startswith(name, "ld-musl")

is_loader(name) if startswith(name, "ld-2.")

is_loader(name) if name == "ld.so"

# ldd asks the loader to look, not to run.
inspects if input.process.args[1] in {"--verify", "--list", "--help"}
