package sentinel.golden

deny contains "shell" if {
	input.event.action == "exec"
	input.proces.name == "sh"
}
