package sentinel.golden

alert contains "shell" if {
	some {"nmae": name} in input.process.ancestors
	name == "sh"
}
