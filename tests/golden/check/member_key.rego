package sentinel.golden

deny contains {"msg": "no shells", "sevrity": "high"} if {
	input.event.action == "exec"
}
