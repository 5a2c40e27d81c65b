# METADATA
# title: Programs without a home talk to the network
# description: What lies in no installed place, or has no file at all, and calls out.
package sentinel.dropped_program_egress

import data.sentinel.lib.files
import data.sentinel.lib.net
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager

# METADATA
# title: Program without a file connects to a public address
# description: It runs from memory or was deleted after its start. The entry keeps this program from this address. Programs replaced by an upgrade are left out.
# custom:
#   id: fileless-program-connect
#   severity: critical
#   mitre: [T1071, T1620]
#   maturity: stable
deny contains msg if {
	input.event.action in {"connect", "send"}
	without_file(input.process.executable)
	net.public(input.destination.ip)
	msg := sprintf("%s contacts %s", [input.process.executable, input.destination.ip])
}

# METADATA
# title: Program in a world-writable directory connects to a public address
# description: Installers and tests do so too, so it is an alert.
# custom:
#   id: dropped-program-connect
#   severity: medium
#   mitre: [T1071, T1105]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"connect", "send"}
	files.world_writable(input.process.executable)
	not without_file(input.process.executable)
	net.public(input.destination.ip)
	not by_package_manager
	msg := sprintf("%s contacts %s", [input.process.executable, input.destination.ip])
}

# METADATA
# title: Dropped program looks up names by itself
# description: It sends to port 53 of a public address instead of asking the host's resolver, as tunnels in DNS do.
# custom:
#   id: dropped-program-dns
#   severity: high
#   mitre: [T1071.004, T1572]
#   maturity: stable
alert contains msg if {
	input.event.action in {"connect", "send"}
	input.destination.port == 53
	files.world_writable(input.process.executable)
	net.public(input.destination.ip)
	msg := sprintf("%s asks the name server %s", [input.process.executable, input.destination.ip])
}

without_file(path) if files.memfd(path)

without_file(path) if {
	files.unlinked(path)
	not programs.installed(path)
	not startswith(path, "/opt/")
}
