# check: --deny-warnings
package sentinel.golden

alert contains "mail" if {
	input.event.action == "exec"
	input.destination.port == 25
}
