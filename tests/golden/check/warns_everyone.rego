# check: --deny-warnings
package sentinel.golden

deny contains {"msg": "no", "scope": "file"} if {
	input.event.action == "open"
	endswith(input.file.path, ".pem")
}
