# METADATA
# title: Files held to ransom
# description: Notes, endings and the commands that go before them.
package sentinel.ransom

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

notes := [
	"readme_for_decrypt", "how_to_decrypt", "how_to_restore", "how_to_back_files", "how to restore your files", "decrypt_instructions", "decrypt_my_files", "recover_your_files", "restore_your_files",
	"your_files_are_encrypted", "recovery_instructions", "!!!read_me!!!", "_readme_ransom", "ransom_note", "restore-my-files",
]

endings := {"lockbit", "akira", "blackcat", "alphv", "encrypt3d", "crypted", "enc3", "ransomed", "wncry", "royal", "basta", "clop", "ragnar", "avos2", "hive", "babyk", "esxiargs", "conti"}

# METADATA
# title: Ransom note written
# description: A new file whose name says how to get one's files back.
# custom:
#   id: ransom-note-write
#   severity: critical
#   mitre: [T1486]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.create
	some note in notes
	contains(lower(input.file.name), note)
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}

# METADATA
# title: File with the ending of a known ransom program
# description: A new file with an ending that such a program gives to what it has encrypted.
# custom:
#   id: ransom-ending-write
#   severity: high
#   mitre: [T1486]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	input.file.create
	lower(input.file.extension) in endings
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Encryption below a server
# description: A web server, a database or PHP starts openssl, gpg or an archiver with a password.
# custom:
#   id: encryption-by-network-service
#   severity: high
#   mitre: [T1486, T1560]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	encrypts(programs.base(input.process.executable))
	by_network_service
	msg := sprintf("encryption below a server: %s", [command_line])
}

# METADATA
# title: Snapshots or backups removed
# description: Snapshots of a file system or the state of a backup are deleted by command. Rotation by hand does so too; schedulers are left out.
# custom:
#   id: snapshot-removal
#   severity: medium
#   mitre: [T1490]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	removes_snapshot(programs.name(input.process))
	not scheduled
	msg := sprintf("snapshot or backup removed: %s", [command_line])
}

encrypts(name) if {
	name == "openssl"
	input.process.args[1] == "enc"
}

encrypts(name) if {
	name in {"gpg", "gpg2"}
	some option in input.process.args
	option in {"-c", "--symmetric", "-e", "--encrypt"}
}

encrypts(name) if {
	name in {"zip", "7z", "7za", "7zr", "7zz", "rar"}
	some option in input.process.args
	password_option(option)
}

encrypts(name) if name in {"age", "ccencrypt", "mcrypt"}

password_option(option) if option in {"-e", "-P", "--encrypt", "--password"}

password_option(option) if startswith(option, "-p")

password_option(option) if startswith(option, "-hp")

removes_snapshot(name) if {
	name in {"zfs", "zpool"}
	"destroy" in input.process.args
}

removes_snapshot(name) if {
	name == "btrfs"
	"delete" in input.process.args
}

removes_snapshot(name) if name in {"lvremove", "vgremove"}

removes_snapshot(name) if {
	name in {"snapper", "timeshift", "virsh"}
	some word in input.process.args
	word in {"delete", "--delete", "--delete-all", "snapshot-delete"}
}

scheduled if {
	some ancestor in input.process.ancestors
	programs.base(ancestor.executable) in {"cron", "crond", "zfs-auto-snapshot", "sanoid", "snapperd", "dockerd", "containerd", "podman", "lxd", "incusd"}
}

scheduled if programs.base(input.process.parent.executable) == "systemd"
