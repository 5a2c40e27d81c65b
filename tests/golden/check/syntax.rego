package sentinel.golden

deny contains "shell" if {
	input.process.name == "sh"
	input.process.args[0 == "-c"
}
