# METADATA
# title: Container escape
# description: Ways from a container to its host, and commands that open them.
package sentinel.container_escape

import data.sentinel.lib.files.changed
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.transfer_tools

# The kernel starts what these files name, on the host and as root.
host_helpers := ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper", "/proc/sys/fs/binfmt_misc/register"]

sockets := ["docker.sock", "containerd.sock", "crio.sock", "podman.sock"]

# METADATA
# title: Container writes a helper path of the kernel
# description: The next crash, uevent or empty cgroup makes the kernel run a program of the container on the host.
# custom:
#   id: container-kernel-helper-write
#   severity: critical
#   mitre: [T1611]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.container.id != ""
	changed
	host_helper(input.file.path)
	msg := sprintf("%s in a container writes %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Container runtime socket handed to a tool
# description: Whoever talks to this socket is root on the host.
# custom:
#   id: container-socket-as-argument
#   severity: medium
#   mitre: [T1610, T1611]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in transfer_tools
	some socket in sockets
	contains(command_line, socket)
	msg := sprintf("container runtime socket used by hand: %s", [command_line])
}

# METADATA
# title: Container with the host inside
# description: A container is started with all privileges, the host's processes, its root directory or the runtime socket.
# custom:
#   id: privileged-container-started
#   severity: medium
#   mitre: [T1610, T1611]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in {"docker", "podman", "nerdctl", "ctr"}
	some verb in input.process.args
	verb in {"run", "create"}
	opens_host
	msg := sprintf("container with access to the host: %s", [command_line])
}

# METADATA
# title: Entry into the namespaces of PID 1
# description: nsenter into init turns a privileged container into a shell on the host.
# custom:
#   id: nsenter-into-init
#   severity: high
#   mitre: [T1611]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "nsenter"
	targets_init
	not by_package_manager
	msg := sprintf("entry into the namespaces of PID 1: %s", [command_line])
}

host_helper(path) if path in host_helpers

host_helper(path) if endswith(path, "/release_agent")

opens_host if "--privileged" in input.process.args

opens_host if {
	some phrase in ["--pid=host", "--pid host", "-v /:/", "--volume /:/", "--volume=/:/", "source=/,", "src=/,", "docker.sock:"]
	contains(command_line, phrase)
}

targets_init if {
	some argument in input.process.args
	argument in {"-t1", "--target=1"}
}

targets_init if {
	some i
	input.process.args[i] in {"-t", "--target"}
	input.process.args[i + 1] == "1"
}
