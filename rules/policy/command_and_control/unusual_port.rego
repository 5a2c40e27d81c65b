# METADATA
# title: Ports of command and control
# description: Ports that frameworks take by default and that services have no use for.
package sentinel.unusual_port

import data.sentinel.lib.files
import data.sentinel.lib.net
import data.sentinel.lib.programs
import data.sentinel.lib.programs.transfer_tools

# Metasploit, Sliver, Cobalt Strike, Havoc, and the favourites of their users.
control_ports := {1337, 4443, 4444, 4445, 5554, 6666, 8888, 9999, 31337, 31338, 40056, 50050}

irc_ports := {6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697}

irc_clients := {"irssi", "weechat", "weechat-headless", "hexchat", "konversation", "znc", "quasselcore", "pidgin", "thunderbird", "halloy"}

tor_socks := {9050, 9150}

# METADATA
# title: Interpreter connects to a port of command and control
# description: Python, Perl, PHP or one of their like to a public address on a port that frameworks take by default.
# custom:
#   id: interpreter-to-control-port
#   severity: medium
#   mitre: [T1571, T1071]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	input.destination.port in control_ports
	programs.is_interpreter(input.process.executable)
	net.public(input.destination.ip)
	msg := sprintf("%s connects to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Internet Relay Chat by something that is no chat program
# description: Old botnets still take their orders there.
# custom:
#   id: irc-by-other-program
#   severity: medium
#   mitre: [T1071]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	input.destination.port in irc_ports
	input.network.transport == "tcp"
	net.public(input.destination.ip)
	not programs.expected(input.process, irc_clients)
	not programs.is_interpreter(input.process.executable)
	msg := sprintf("%s connects to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Tor used through its local port
# description: A tool or a server goes out through Tor on this host. Country rules see the relay, not the destination.
# custom:
#   id: tor-socks-use
#   severity: medium
#   mitre: [T1090.003]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	input.destination.port in tor_socks
	net.loopback(input.destination.ip)
	goes_out
	msg := sprintf("%s goes out through Tor", [input.process.executable])
}

goes_out if programs.name(input.process) in transfer_tools

goes_out if programs.is_interpreter(input.process.executable)

goes_out if programs.is_network_service(input.process.executable)

goes_out if files.dropped(input.process.executable)
