# METADATA
# title: Remote access tools
# description: Programs for help desks, and the same for intruders.
package sentinel.remote_access

import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line

tools := {
	"anydesk", "teamviewerd", "teamviewer", "rustdesk", "meshagent", "screenconnect", "splashtop-streamer", "dwagent", "remoteutilities", "nomachine", "nxserver",
	"tmate", "gs-netcat", "gsocket", "sshx", "upterm", "ttyd", "gotty", "wetty", "shellinaboxd",
}

implants := {"sliver-client", "sliver-server", "merlin-agent", "merlinagent", "mythic", "poseidon", "pupysh", "villain", "havoc", "teamserver", "msfconsole", "msfvenom", "empire", "covenant", "emp3r0r", "pwncat", "pwncat-cs", "weevely", "chisel_linux_amd64"}

# METADATA
# title: Remote access tool started
# description: Where such a tool is meant to run, allow it by its path.
# custom:
#   id: remote-access-tool-exec
#   severity: medium
#   mitre: [T1219]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	lower(programs.base(input.process.executable)) in tools
	msg := sprintf("remote access tool started: %s", [command_line])
}

# METADATA
# title: Command and control framework started
# description: An agent or a console of a known framework, by the name of its program or script.
# custom:
#   id: control-framework-exec
#   severity: critical
#   mitre: [T1071, T1587.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	lower(input.file.name) in implants
	msg := sprintf("command and control framework started: %s", [command_line])
}
