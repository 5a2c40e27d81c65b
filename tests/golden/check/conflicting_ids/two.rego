# METADATA
# custom:
#   id: shells
package sentinel.two

deny contains "shell" if input.process.name == "sh"
