# METADATA
# title: People in containers
# description: A container runs one application. Shells and installations in it are people, or intruders, at work.
package sentinel.container_shell

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.container_runtimes

# METADATA
# title: Shell entered in a container
# description: The container runtime itself starts a shell in a container, as docker exec does. Images whose entry point is a script do so too.
# custom:
#   id: container-shell-entered
#   severity: low
#   mitre: [T1609, T1059.004]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	input.container.id != ""
	programs.is_shell(input.process)
	entered
	msg := sprintf("shell in container %s: %s", [substring(input.container.id, 0, 12), command_line])
}

# METADATA
# title: Packages installed in a running container
# description: What an application needs is in its image. Builds of images run in containers too.
# custom:
#   id: container-package-install
#   severity: medium
#   mitre: [T1105, T1609]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	input.container.id != ""
	programs.name(input.process) in {"apt", "apt-get", "apk", "yum", "dnf", "microdnf", "zypper", "pacman"}
	some verb in input.process.args
	verb in {"install", "add", "-S", "-Sy", "in"}
	msg := sprintf("installation in container %s: %s", [substring(input.container.id, 0, 12), command_line])
}

# METADATA
# title: Dropped program executed in a container
# description: A file in a world-writable directory of a container is executed. It came after the image was made.
# custom:
#   id: container-dropped-program
#   severity: high
#   mitre: [T1105, T1059]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	input.container.id != ""
	files.world_writable(input.file.path)
	msg := sprintf("%s executed in container %s", [input.file.path, substring(input.container.id, 0, 12)])
}

# The runtime's own process becomes the shell: it runs from a copy of itself in memory, or from its file.
entered if startswith(input.process.previous.executable, "/memfd:runc")

entered if programs.base(input.process.previous.executable) in container_runtimes
