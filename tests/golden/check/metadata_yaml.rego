package sentinel.golden

# METADATA
# title: Shell: started
# custom:
#   severity: high
deny contains "shell" if input.process.name == "sh"
