package sentinel.golden

deny contains "shell" if {
	input.event.action == "exec"
	not input.process.args[i] == "-c"
	i > 0
}
