# check: --deny-warnings
package sentinel.golden

deny contains "netcat with a shell" if {
	input.event.action == "exec"
	input.process.name == "nc"
	"-e" in input.process.args
	input.user.id == "0"
}
