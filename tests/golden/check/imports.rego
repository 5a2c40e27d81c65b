package sentinel.golden

import data.lib.shells
import data.other.shells
import input.process as acting

deny contains "shell" if input.process.name in shells
