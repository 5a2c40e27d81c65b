package sentinel.golden

deny contains "shell" if any([input.process.name == "sh", input.process.name == "bash"])
