package sentinel.golden

deny contains {"msg": "no shells", "scope": "path"} if {
	input.event.action == "exec"
	input.file.path in {"/opt/tool", "/bin/bash"}
}
