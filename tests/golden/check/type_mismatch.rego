package sentinel.golden

alert contains "mail" if {
	input.event.action == "connect"
	input.destination.port == "25"
}

alert contains "a user" if {
	input.event.action == "exec"
	input.user.id >= 1000
}
