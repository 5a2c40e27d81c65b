package sentinel.golden

deny[msg] {
	input.process.name == "sh"
	msg := "shell"
}
