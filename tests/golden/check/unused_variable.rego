package sentinel.golden

deny contains "shell" if {
	input.event.action == "exec"
	name := input.process.name
	some i
	input.process.args[0] == "sh"
}
