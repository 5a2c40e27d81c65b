package sentinel.golden

deny contains {"msg": "no shells", "scope": "host"} if {
	input.event.action == "exec"
}
