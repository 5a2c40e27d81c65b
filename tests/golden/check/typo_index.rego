package sentinel.golden

deny contains "shell" if {
	input["process"]["nmae"] == "sh"
}
