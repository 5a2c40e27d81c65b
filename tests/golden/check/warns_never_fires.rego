# check: --deny-warnings
package sentinel.golden

alert contains "both" if {
	input.event.action == "exec"
	input.event.action == "open"
}
