# METADATA
# title: Settings of the SSH server
# description: Who may log in and what runs when somebody does.
package sentinel.ssh_server_config

import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.editors

# METADATA
# title: Settings of the SSH server written
# description: By something other than a package manager, an editor or cloud-init. Configuration management does so too.
# custom:
#   id: sshd-config-write
#   severity: medium
#   mitre: [T1098, T1556]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	settings(path)
	not programs.expected(input.process, editors)
	not by_cloud_init
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Program run at each SSH log-in written
# description: /etc/ssh/sshrc or a .ssh/rc runs as the user who logs in. Almost nobody has one.
# custom:
#   id: ssh-rc-write
#   severity: high
#   mitre: [T1546, T1098.004]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	login_program(path)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

settings(path) if startswith(path, "/etc/ssh/sshd_config")

login_program(path) if path == "/etc/ssh/sshrc"

login_program(path) if endswith(path, "/.ssh/rc")

by_cloud_init if {
	some argument in input.process.args
	startswith(argument, "/usr/bin/cloud-init")
}
