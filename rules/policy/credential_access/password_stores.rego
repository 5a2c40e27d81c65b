# METADATA
# title: Password stores
# description: Key rings, password managers and tickets, opened by something that is not theirs.
package sentinel.password_stores

import data.sentinel.lib.programs
import data.sentinel.lib.programs.transfer_tools

store_extensions := {"kdbx", "kdb", "keyring", "kwl", "agilekeychain", "1pif", "psafe3"}

store_programs := {
	"gnome-keyring-daemon", "gnome-keyring-d", "secret-tool", "seahorse", "kwalletd5", "kwalletd6", "kwalletmanager5", "keepassxc", "keepassxc-cli", "keepass2", "keepassxc-proxy", "1password", "bitwarden",
	"nautilus", "dolphin", "thunar", "dropbox", "nextcloud", "syncthing", "rsync", "restic", "borg", "duplicity", "baloo_file", "tracker-miner-f", "localsearch-3",
}

# METADATA
# title: Password store read by another program
# description: Backups and synchronisation are left out as far as they have a name of their own.
# custom:
#   id: password-store-read
#   severity: high
#   mitre: [T1555]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	lower(input.file.extension) in store_extensions
	not transfer_tool
	not store_program
	msg := sprintf("%s opens the password store %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Password store read by a transfer tool
# description: A tool that sends or encodes opens a store of passwords. The entry keeps this tool from this file.
# custom:
#   id: password-store-read-by-transfer-tool
#   severity: critical
#   mitre: [T1555, T1048]
#   maturity: stable
deny contains msg if {
	input.event.action == "open"
	lower(input.file.extension) in store_extensions
	transfer_tool
	msg := sprintf("%s opens the password store %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Kerberos tickets read by a general tool
# description: Tickets in /tmp/krb5cc_* or a keytab opened by a viewer, an interpreter or a transfer tool.
# custom:
#   id: kerberos-ticket-read
#   severity: high
#   mitre: [T1558]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	startswith(input.file.path, "/tmp/krb5cc")
	general_tool
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

transfer_tool if programs.base(input.process.executable) in transfer_tools

# Some are installed below /opt or as AppImages; what matters here is that it is no general tool.
store_program if programs.base(input.process.executable) in store_programs

general_tool if programs.name(input.process) in transfer_tools | {"cat", "cp", "tar", "dd", "strings", "od", "hexdump", "scp"}

general_tool if programs.is_shell(input.process)
