package sentinel.golden

deny contains "shell" if {
	input.event.action == "exec"
	is_shell(input.process)
}

is_shell(process) if process.exectuable in {"/bin/sh", "/bin/bash"}
