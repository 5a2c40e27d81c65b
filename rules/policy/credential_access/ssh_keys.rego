# METADATA
# title: SSH private keys
# description: Private keys opened by anything but the SSH tools.
package sentinel.ssh_keys

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.transfer_tools

ssh_tools := {
	"ssh", "ssh-add", "ssh-agent", "ssh-keygen", "ssh-keysign", "ssh-keyscan", "sshd", "sshd-session", "sshd-auth", "dropbear", "dropbearkey", "dbclient",
	"gnome-keyring-daemon", "gcr-ssh-agent", "gpg-agent", "seahorse", "ksshaskpass",
}

# METADATA
# title: SSH private key read
# description: Libraries, editors and backups read keys as well, so it is an alert.
# custom:
#   id: ssh-private-key-read
#   severity: high
#   mitre: [T1552.004]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	private_key
	not transfer_tool
	not programs.expected(input.process, ssh_tools)
	not by_package_manager
	msg := sprintf("%s opens the private key %s", [input.process.executable, input.file.path])
}

# METADATA
# title: SSH private key read by a transfer tool
# description: A tool that sends or encodes opens a private key. The entry keeps this tool from this key.
# custom:
#   id: ssh-private-key-read-by-transfer-tool
#   severity: critical
#   mitre: [T1552.004, T1048]
#   maturity: stable
deny contains msg if {
	input.event.action == "open"
	private_key
	transfer_tool
	msg := sprintf("%s opens the private key %s", [input.process.executable, input.file.path])
}

private_key if {
	contains(input.file.path, "/.ssh/")
	startswith(input.file.name, "id")
	not endswith(input.file.name, ".pub")
}

private_key if {
	contains(input.file.path, "/.ssh/")
	some suffix in [".pem", ".key", ".ppk"]
	endswith(input.file.name, suffix)
}

private_key if {
	startswith(input.file.path, "/etc/ssh/ssh_host_")
	endswith(input.file.path, "_key")
}

# curl and wget read keys for sftp and for client certificates, so only an alert for them.
transfer_tool if programs.base(input.process.executable) in transfer_tools - {"curl", "wget"}
