# METADATA
# title: History tampering
# description: The record of typed commands is removed, emptied or switched off.
package sentinel.history_tampering

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

history_files := {
	".bash_history", ".zsh_history", ".zhistory", ".sh_history", ".ash_history", ".history", "fish_history",
	".python_history", ".mysql_history", ".psql_history", ".rediscli_history", ".lesshst", ".viminfo",
}

shell_history_files := {".bash_history", ".zsh_history", ".zhistory", ".sh_history", ".ash_history", ".history", "fish_history"}

removers := {"rm", "unlink", "shred", "srm", "wipe", "truncate", "dd", "ln", "cp", "mv", "tee", "chattr"}

# Deleting a user, an image layer or a package takes the file along.
caretakers := {"userdel", "deluser", "rsync", "systemd-tmpfiles"}

# METADATA
# title: Shell history removed or changed
# description: Only the shell itself writes its history.
# custom:
#   id: shell-history-changed
#   severity: high
#   mitre: [T1070.003]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "unlink", "truncate", "rename", "link"}
	changed
	some path in file_names
	files.name(path) in shell_history_files
	not programs.is_shell(input.process)
	not programs.expected(input.process, caretakers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s changes the history file %s", [input.process.executable, path])
}

# METADATA
# title: Tool aimed at a history file
# description: rm, shred, ln and their like with a history file among their arguments.
# custom:
#   id: history-file-as-argument
#   severity: high
#   mitre: [T1070.003]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in removers
	some argument in input.process.args
	programs.base(trim_prefix(argument, "of=")) in history_files
	msg := sprintf("history file removed or replaced: %s", [command_line])
}

# METADATA
# title: History switched off
# description: A command line that empties the history or keeps it from being written. Typed into a running shell it is not an exec and is not seen.
# custom:
#   id: history-disabled
#   severity: medium
#   mitre: [T1562.003, T1070.003]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	starts_commands
	some phrase in [
		"HISTFILE=/dev/null", "HISTFILE= ", "unset HISTFILE", "HISTSIZE=0", "HISTFILESIZE=0",
		"history -c", "set +o history", "HISTCONTROL=ignoreboth:", "> ~/.bash_history", ">~/.bash_history",
	]
	contains(command_line, phrase)
	msg := sprintf("history switched off: %s", [command_line])
}

starts_commands if programs.is_shell(input.process)

starts_commands if programs.name(input.process) in {"env", "sudo", "su", "ssh", "script"}
