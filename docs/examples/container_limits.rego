# METADATA
# title: What containers may do
# description: Rules that hold in containers and leave the host alone. An entry holds the program, not the container; programs in images are other files than those of the host.
package sentinel.container_limits

shells := {"sh", "bash", "dash", "ash", "zsh", "busybox"}

# METADATA
# title: Shell in a container
# description: A program in a container starts a shell. The entry keeps that program from this shell; people enter by the runtime, which is left out.
# custom:
#   id: container-starts-shell
#   severity: high
#   mitre: [T1059.004]
#   accept: [entry-wider-than-rule]
deny contains msg if {
	input.event.action == "exec"
	input.container.id != ""
	input.process.name in shells
	not input.process.previous.name in {"containerd-shim-runc-v2", "runc", "crun", "conmon"} | shells
	msg := sprintf("%s starts %s in container %s", [input.process.previous.executable, input.process.executable, input.container.id])
}

# METADATA
# title: Container reaches the metadata service
# custom:
#   id: container-metadata
#   severity: critical
#   mitre: [T1552.005]
#   accept: [entry-wider-than-rule]
deny contains msg if {
	input.event.action in {"connect", "send"}
	input.container.id != ""
	input.destination.ip == "169.254.169.254"
	msg := sprintf("%s in container %s asks for cloud credentials", [input.process.executable, input.container.id])
}
