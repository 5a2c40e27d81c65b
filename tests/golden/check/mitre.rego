package sentinel.golden

# METADATA
# title: Shell
# custom:
#   mitre: [T59.4]
deny contains "shell" if input.process.name == "sh"
