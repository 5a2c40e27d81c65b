package sentinel.golden

deny := true if {
	input.event.action == "exec"
}
