package sentinel.golden

deny contains "shell" if {
	input.event.action == "execve"
	input.process.name == "sh"
}
