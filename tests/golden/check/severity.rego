package sentinel.golden

# METADATA
# title: Shell
# custom:
#   severity: urgent
deny contains "shell" if input.process.name == "sh"
