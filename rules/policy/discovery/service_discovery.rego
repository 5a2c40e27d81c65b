# METADATA
# title: A server looks around
# description: The first commands after a break-in ask who and where one is. Servers have no use for the answers.
package sentinel.service_discovery

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

# Nothing that applications run to do their work: no ls, cat, df or free.
questions := {
	"whoami", "id", "who", "w", "last", "lastlog", "groups", "uname", "lsb_release", "hostnamectl", "ifconfig", "ip", "arp", "netstat", "ss", "route",
	"lsof", "ps", "pstree", "lscpu", "lsblk", "mount", "findmnt", "getent", "getcap", "sudo", "crontab", "systemctl", "lsmod", "dmesg",
}

probes := {"linpeas.sh", "linpeas", "linenum.sh", "lse.sh", "linux-exploit-suggester.sh", "les.sh", "pspy", "pspy32", "pspy64", "deepce.sh", "unix-privesc-check", "traitor", "peirates", "cdk"}

# METADATA
# title: Command of discovery below a server
# description: id, uname, netstat and their like started by a web server, a database or PHP. Health checks inside an application can do so too; allow them by their arguments.
# custom:
#   id: discovery-by-network-service
#   severity: high
#   mitre: [T1033, T1082, T1049, T1016]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in questions
	by_network_service
	msg := sprintf("discovery below a server: %s", [command_line])
}

# METADATA
# title: Privilege escalation scout started
# description: A script or program that lists ways to root and out of containers, by its file name.
# custom:
#   id: escalation-scout-exec
#   severity: high
#   mitre: [T1082, T1068, T1613]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	lower(input.file.name) in probes
	msg := sprintf("%s starts the scout %s", [input.process.parent.executable, input.file.path])
}
