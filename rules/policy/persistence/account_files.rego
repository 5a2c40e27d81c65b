# METADATA
# title: Account and authentication files
# description: Users, groups, sudo rights and PAM, changed by something other than the tools for it.
package sentinel.account_files

import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager

account_databases := {"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}

account_tools := {
	"passwd", "chpasswd", "chage", "chfn", "chsh", "gpasswd", "chgpasswd", "newusers", "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel",
	"groupmems", "vipw", "vigr", "pwck", "grpck", "pwconv", "pwunconv", "grpconv", "grpunconv", "adduser", "deluser", "addgroup", "delgroup",
	"update-passwd", "unix_chkpwd", "unix_update", "systemd-sysusers", "systemd-firstboot", "accounts-daemon", "sshd", "sshd-session", "login", "su", "sudo", "cron", "crond",
}

# METADATA
# title: Network service writes an account file
# description: A server is made to add a user or a right. The entry keeps this server from this file; a server that only reads such a file is never matched.
# custom:
#   id: account-write-by-network-service
#   severity: critical
#   mitre: [T1136.001, T1548.003, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	authentication_setup(path)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Account database written
# description: /etc/passwd or one of its kind is written by something other than the account tools.
# custom:
#   id: account-database-write
#   severity: high
#   mitre: [T1136.001, T1098]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	path in account_databases
	unexpected(account_tools)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Sudo rights written
# description: sudoers or a file in sudoers.d is written by something other than visudo.
# custom:
#   id: sudoers-write
#   severity: high
#   mitre: [T1548.003]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	startswith(path, "/etc/sudoers")
	unexpected({"visudo"})
	not programs.expected(input.process.parent, {"visudo"})
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: PAM changed
# description: The configuration or a module of the log-in checks is written.
# custom:
#   id: pam-write
#   severity: high
#   mitre: [T1556.003]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	pam_file(path)
	unexpected({"pam-auth-update", "authselect"})
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# sudoers and PAM, but not the databases: an entry on /etc/passwd would also stop the server from looking up its own user.
authentication_setup(path) if startswith(path, "/etc/sudoers")

authentication_setup(path) if pam_file(path)

pam_file(path) if startswith(path, "/etc/pam.d/")

pam_file(path) if {
	contains(path, "/security/pam_")
	endswith(path, ".so")
}

unexpected(names) if {
	not programs.expected(input.process, names)
	not by_package_manager
	not by_container_runtime
}
