package sentinel.golden

shell_names := {"sh", "bash"}

deny contains "shell" if input.process.name in shel_names
