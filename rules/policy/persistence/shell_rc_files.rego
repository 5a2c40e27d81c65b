# METADATA
# title: Start-up files of shells
# description: What every new shell of a user runs first. The files of the whole system are in systemd_unit_write.
package sentinel.shell_rc_files

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.editors

rc_files := {
	".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".kshrc", ".cshrc", ".tcshrc",
	".login", ".xprofile", ".xinitrc", ".xsessionrc", ".xsession", "bash.bashrc", "zshrc", "zshenv",
}

# New accounts get copies; chezmoi, stow and their like are people's own choice.
home_makers := {"useradd", "adduser", "usermod", "mkhomedir_helper", "oddjobd-mkhomedir", "systemd-homed", "rsync", "chezmoi", "rustup", "rustup-init", "conda", "nvm"}

# METADATA
# title: Network service writes a start-up file of a shell
# description: A server is made to save what the next log-in runs. The entry keeps this server from this file.
# custom:
#   id: shell-rc-write-by-network-service
#   severity: critical
#   mitre: [T1546.004, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.name(path) in rc_files
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Start-up file of a shell written
# description: By something other than an editor, a package manager or what makes home directories. Installers of language tools append their PATH.
# custom:
#   id: shell-rc-write
#   severity: medium
#   mitre: [T1546.004]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.name(path) in rc_files
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, editors | home_makers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes %s", [input.process.executable, path])
}
