package sentinel.golden

deny contains "shell" if is_shell(input.process, "sh")

is_shell(process, name) if process.name == "sh"
