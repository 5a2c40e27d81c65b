# METADATA
# title: Network scanners
# description: Tools that look for hosts and open ports. Who may scan is few; allow them by user or host.
package sentinel.network_scan

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.netcats

scanners := {
	"nmap", "masscan", "zmap", "rustscan", "unicornscan", "arp-scan", "netdiscover", "nbtscan", "fping", "hping3", "naabu", "zgrab", "zgrab2",
	"fscan", "dirb", "gobuster", "ffuf", "feroxbuster", "nikto", "nuclei", "sqlmap", "wpscan", "enum4linux", "kube-hunter",
}

# METADATA
# title: Network scanner started
# description: Administrators scan too, though seldom from a server.
# custom:
#   id: network-scanner-exec
#   severity: medium
#   mitre: [T1046, T1018]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in scanners
	not by_network_service
	msg := sprintf("network scanner started: %s", [command_line])
}

# METADATA
# title: Network service starts a scanner
# description: A server, or a shell below it, looks for the next host.
# custom:
#   id: network-scanner-by-network-service
#   severity: critical
#   mitre: [T1046, T1190]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in scanners
	by_network_service
	msg := sprintf("network scanner started below a server: %s", [command_line])
}

# METADATA
# title: Scan by netcat
# description: nc -z over a range of ports or with many hosts; one port is a health check and passes.
# custom:
#   id: netcat-port-scan
#   severity: low
#   mitre: [T1046]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in netcats
	some option in input.process.args
	startswith(option, "-")
	contains(option, "z")
	some range in input.process.args
	port_range(range)
	msg := sprintf("port scan by netcat: %s", [command_line])
}

port_range(argument) if {
	parts := split(argument, "-")
	count(parts) == 2
	every part in parts {
		part != ""
		trim(part, "0123456789") == ""
	}
}
