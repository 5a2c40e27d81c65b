# METADATA
# title: SSH authorized keys
# description: Who may log in without a password, changed by something other than the tools for it.
package sentinel.ssh_authorized_keys

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs

key_managers := {"ssh-keygen", "google_guest_agent", "google_authorized_keys", "sshd", "sshd-session", "useradd", "userdel", "usermod"}

# METADATA
# title: Network service writes into an .ssh directory
# description: Servers are made to save their data as authorized_keys. The entry keeps this server from this file.
# custom:
#   id: ssh-directory-write-by-network-service
#   severity: critical
#   mitre: [T1098.004, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	contains(path, "/.ssh/")
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Authorized keys written
# description: ssh-copy-id and configuration management do so too, so it is an alert.
# custom:
#   id: ssh-authorized-keys-write
#   severity: medium
#   mitre: [T1098.004]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	startswith(files.name(path), "authorized_keys")
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, key_managers)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}
