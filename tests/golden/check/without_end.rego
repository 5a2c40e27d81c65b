package sentinel.golden

deny contains "shell" if {
	input.event.action == "exec"
	some n in numbers.range(1, input.process.pid)
	n == 7
}
