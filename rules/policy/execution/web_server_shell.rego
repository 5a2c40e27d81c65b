# METADATA
# title: Network service starts a shell
# description: What an exploited web application or database does first.
package sentinel.web_server_shell

import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.web_servers

# Nothing these servers are meant for ever needs a shell.
shell_free_servers := {"nginx", "envoy", "traefik"}

databases := {"redis-server", "valkey-server", "mysqld", "mariadbd", "mongod", "memcached"}

app_runtimes := ["java", "node", "python", "ruby", "php", "perl", "postgres", "gunicorn", "uwsgi", "dotnet"]

# METADATA
# title: Proxy starts a shell
# description: nginx, envoy or traefik executes a shell. The entry keeps that server from that shell; scripts of others go on.
# custom:
#   id: proxy-starts-shell
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1190, T1059.004]
#   maturity: stable
deny contains msg if {
	input.event.action == "exec"
	programs.base(input.process.previous.executable) in shell_free_servers
	programs.is_shell(input.process)
	msg := sprintf("%s starts the shell %s", [input.process.previous.executable, input.process.executable])
}

# METADATA
# title: Web server starts a shell
# description: A web server, or a program it started, executes a shell. CGI scripts and log pipes do so too.
# custom:
#   id: web-server-starts-shell
#   severity: high
#   mitre: [T1505.003, T1059.004]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.is_shell(input.process)
	some starter in starters
	programs.base(starter) in web_servers - shell_free_servers
	msg := sprintf("web server %s starts the shell %s", [starter, input.process.executable])
}

# METADATA
# title: PHP starts a shell
# description: PHP runs every system() and many mail() calls through a shell, so this needs a look at the application.
# custom:
#   id: php-starts-shell
#   severity: medium
#   mitre: [T1505.003, T1059.004]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	programs.is_shell(input.process)
	programs.is_php(input.process.previous.executable)
	msg := sprintf("%s starts the shell %s", [input.process.previous.executable, input.process.executable])
}

# METADATA
# title: Database starts a shell
# description: Database servers start shells for replication hooks and for intruders.
# custom:
#   id: database-starts-shell
#   severity: high
#   mitre: [T1190, T1059.004]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.is_shell(input.process)
	programs.base(input.process.previous.executable) in databases
	msg := sprintf("database %s starts the shell %s", [input.process.previous.executable, input.process.executable])
}

# METADATA
# title: Application fetches and runs code
# description: An application runtime starts a shell whose command line downloads something and runs it.
# custom:
#   id: application-runs-download
#   severity: high
#   mitre: [T1190, T1105, T1059.004]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.is_shell(input.process)
	some runtime in app_runtimes
	startswith(programs.base(input.process.previous.executable), runtime)
	fetches_and_runs(command_line)
	msg := sprintf("%s runs a download: %s", [input.process.previous.executable, command_line])
}

# The calling image, and the real parent for a shell reached through env, nice or sudo.
starters contains input.process.previous.executable

starters contains input.process.parent.executable

fetches_and_runs(text) if {
	some source in ["curl ", "wget ", "base64 -d", "base64 --decode", "/dev/tcp/"]
	contains(text, source)
	some runner in ["|sh", "| sh", "|bash", "| bash", "| /bin/sh", "| /bin/bash", "chmod +x", "chmod 7", "0>&1"]
	contains(text, runner)
}
