# METADATA
# title: Log tampering
# description: System logs removed, emptied or edited by something that does not write them.
package sentinel.log_tampering

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

login_records := {"/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/run/utmp", "/var/run/utmp"}

record_keepers := {
	"login", "su", "sudo", "sshd", "sshd-session", "agetty", "getty", "sulogin", "systemd", "systemd-executor", "systemd-update-utmp", "systemd-logind", "systemd-tmpfiles",
	"logrotate", "gdm-session-worker", "lightdm", "sddm-helper", "tmux", "screen", "utempter", "xterm", "lastlog", "runuser", "cron", "crond", "useradd", "usermod", "userdel", "init",
}

removers := {"rm", "unlink", "shred", "srm", "wipe", "truncate", "dd", "ln", "mv"}

protected_logs := [
	"/var/log/auth.log", "/var/log/secure", "/var/log/syslog", "/var/log/messages", "/var/log/audit", "/var/log/journal",
	"/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/cron", "/var/log/sudo", "/var/lib/sentinel/audit",
]

# METADATA
# title: Log-in records edited
# description: The list of log-ins is written by something other than the log-in programs.
# custom:
#   id: login-records-changed
#   severity: high
#   mitre: [T1070.002]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "unlink", "truncate", "rename"}
	changed
	some path in file_names
	path in login_records
	not programs.expected(input.process, record_keepers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s changes %s", [input.process.executable, path])
}

# METADATA
# title: Tool aimed at a system log
# description: rm, shred, truncate and their like with a system log among their arguments.
# custom:
#   id: system-log-as-argument
#   severity: high
#   mitre: [T1070.002]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in removers
	some argument in input.process.args
	files.below(trim_prefix(argument, "of="), protected_logs)
	not by_package_manager
	not programs.expected(input.process.parent, {"logrotate"})
	msg := sprintf("system log removed or replaced: %s", [command_line])
}

# METADATA
# title: Journal emptied
# description: journalctl is told to drop what it has. Regular vacuuming belongs into journald.conf.
# custom:
#   id: journal-vacuumed
#   severity: medium
#   mitre: [T1070.002]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "journalctl"
	some argument in input.process.args
	startswith(argument, "--vacuum")
	msg := sprintf("journal emptied: %s", [command_line])
}
