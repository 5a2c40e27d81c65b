# METADATA
# custom:
#   id: shells
package sentinel.one

deny contains "shell" if input.process.name == "sh"
