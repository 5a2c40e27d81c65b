# METADATA
# title: Remote shells from where nobody logs in
# description: From a server that was broken into to the next host, with keys and passwords found on it.
package sentinel.remote_shell

import data.sentinel.lib.net
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

remote_shells := {"ssh", "scp", "sftp", "dbclient", "sshpass", "rsh", "rlogin", "rexec", "telnet", "xfreerdp", "rdesktop", "plink"}

remote_tools := {
	"crackmapexec", "nxc", "netexec", "evil-winrm", "psexec.py", "impacket-psexec", "smbexec.py", "impacket-smbexec", "wmiexec.py", "impacket-wmiexec",
	"secretsdump.py", "impacket-secretsdump", "bloodhound-python", "kerbrute", "rubeus",
}

# METADATA
# title: Remote shell started below a server
# description: A web server, a database or PHP starts ssh or one of its like. Deployment by a web hook does so too; allow its command.
# custom:
#   id: remote-shell-by-network-service
#   severity: high
#   mitre: [T1021.004, T1021]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in remote_shells
	by_network_service
	msg := sprintf("remote shell below a server: %s", [command_line])
}

# METADATA
# title: Tool of lateral movement started
# description: Collections that execute commands on other hosts with stolen passwords and tickets, by file name.
# custom:
#   id: lateral-movement-tool-exec
#   severity: high
#   mitre: [T1021, T1570]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	lower(input.file.name) in remote_tools
	msg := sprintf("tool of lateral movement started: %s", [command_line])
}

# METADATA
# title: Password of a remote shell on the command line
# description: sshpass -p shows the password to every user of the host. Scripts do this; so do intruders who found one.
# custom:
#   id: ssh-password-on-command-line
#   severity: low
#   mitre: [T1021.004]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "sshpass"
	startswith(input.process.args[1], "-p")
	not by_network_service
	msg := sprintf("%s starts sshpass with a password among its arguments", [input.process.parent.executable])
}

# METADATA
# title: Container connects to SSH inside the network
# description: Applications in containers have no SSH of their own to speak; a program other than an SSH client does it even less.
# custom:
#   id: container-ssh-connect
#   severity: medium
#   mitre: [T1021.004]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	input.destination.port == 22
	input.container.id != ""
	net.internal(input.destination.ip)
	not net.loopback(input.destination.ip)
	msg := sprintf("%s in a container connects to SSH of %s", [input.process.executable, input.destination.ip])
}
