# METADATA
# title: Network service starts a tool
# description: What a broken server is made to start when no shell is at hand. Shells are in web_server_shell.
package sentinel.server_starts_tool

import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.netcats
import data.sentinel.lib.programs.web_servers

# Nothing these servers are meant for ever needs another program of this kind.
lone_servers := {"nginx", "envoy", "traefik", "haproxy", "memcached", "redis-server", "valkey-server", "named", "unbound"}

fetchers := {"curl", "wget", "aria2c", "ftp", "tftp", "lwp-download"} | netcats

# METADATA
# title: Server starts a download tool or an interpreter
# description: nginx, redis or one of their kind executes curl, netcat or python itself. The entry keeps that server from that program, also as another applet of it; everyone else goes on.
# custom:
#   id: lone-server-starts-tool
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1190, T1105, T1059]
#   maturity: stable
#   accept: [entry-wider-than-rule]
deny contains msg if {
	input.event.action == "exec"
	programs.base(input.process.previous.executable) in lone_servers
	tool
	msg := sprintf("%s starts %s", [input.process.previous.executable, input.process.executable])
}

# METADATA
# title: Web server starts a download tool
# description: Apache, lighttpd or PHP executes a download tool without a shell between. Applications fetch updates this way, so it is an alert.
# custom:
#   id: web-server-starts-download
#   severity: medium
#   mitre: [T1190, T1105]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in fetchers
	starter := input.process.previous.executable
	web_server(starter)
	not programs.base(starter) in lone_servers
	msg := sprintf("%s starts: %s", [starter, command_line])
}

# METADATA
# title: Server starts a program that nobody installed
# description: A web server, a database or PHP executes a file in a world-writable directory. Either an upload was executed or a plug-in unpacks its helpers there.
# custom:
#   id: server-starts-dropped-program
#   severity: high
#   mitre: [T1190, T1059]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.is_network_service(input.process.previous.executable)
	some directory in ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/"]
	startswith(input.file.path, directory)
	msg := sprintf("%s starts %s", [input.process.previous.executable, input.file.path])
}

tool if programs.name(input.process) in fetchers

tool if programs.is_interpreter(input.process.executable)

web_server(path) if programs.base(path) in web_servers

web_server(path) if programs.is_php(path)
