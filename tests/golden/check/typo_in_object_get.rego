package sentinel.golden

deny contains "shell" if {
	object.get(input, ["process", "nmae"], "") == "sh"
}
