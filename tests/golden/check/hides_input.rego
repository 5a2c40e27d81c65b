package sentinel.golden

deny contains "shell" if {
	some input in [{"process": {"name": "sh"}}]
	input.process.name == "sh"
}
