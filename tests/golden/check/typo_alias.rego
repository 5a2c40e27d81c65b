package sentinel.golden

import input.process as acting

deny contains "shell" if {
	parent := acting.parent
	parent.excutable == "/bin/sh"
}
