# METADATA
# title: Credential files
# description: Password databases and stored keys opened by programs that have no use for them.
package sentinel.credential_files

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.transfer_tools

password_files := {"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd"}

# Log-in, account and screen-lock programs, and the daemons that check passwords.
password_readers := {
	"login", "su", "sudo", "sudo-rs", "runuser", "sshd", "sshd-session", "sshd-auth", "agetty", "sulogin", "unix_chkpwd", "unix_update",
	"passwd", "chpasswd", "chage", "chfn", "chsh", "expiry", "newgrp", "sg", "gpasswd", "chgpasswd", "newusers",
	"useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "groupmems", "vipw", "vigr", "pwck", "grpck",
	"pwconv", "pwunconv", "grpconv", "grpunconv", "adduser", "deluser", "addgroup", "delgroup", "update-passwd", "faillock",
	"systemd", "systemd-executor", "systemd-sysusers", "systemd-userdbd", "systemd-userwork", "systemd-homed", "systemd-logind",
	"cron", "crond", "atd", "crontab", "accounts-daemon", "polkitd", "polkit-agent-helper-1", "sssd_be", "sssd_nss", "nscd",
	"gdm-session-worker", "lightdm", "sddm-helper", "xscreensaver-auth", "kcheckpass",
	"dovecot", "auth", "saslauthd", "vsftpd", "proftpd", "smbd", "cupsd", "cockpit-session",
}

# By file name, since almost every open is of another name; then the end of the path.
key_stores := {
	"credentials": "/.aws/credentials",
	"credentials.db": "/.config/gcloud/credentials.db",
	"application_default_credentials.json": "/.config/gcloud/application_default_credentials.json",
	"msal_token_cache.json": "/.azure/msal_token_cache.json",
	"accessTokens.json": "/.azure/accessTokens.json",
	"config": "/.kube/config",
	"config.json": "/.docker/config.json",
	".git-credentials": "/.git-credentials",
	".pgpass": "/.pgpass",
	".my.cnf": "/.my.cnf",
	".vault-token": "/.vault-token",
	"krb5.keytab": "/etc/krb5.keytab",
	"admin.conf": "/etc/kubernetes/admin.conf",
	"token": "/token",
}

viewers := {"cat", "head", "tail", "less", "more", "strings", "cp", "tar", "zip", "gzip", "od", "hexdump", "dd", "rsync", "scp", "sftp"}

# METADATA
# title: Password file read
# description: A program that checks no passwords opens /etc/shadow or one of its kind. Backups do so too, so it is an alert.
# custom:
#   id: shadow-read
#   severity: high
#   mitre: [T1003.008]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.path in password_files
	not transfer_tool
	not programs.expected(input.process, password_readers)
	not by_package_manager
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Password file read by a transfer tool
# description: A tool that sends or encodes opens the password file. The entry keeps this tool from this file.
# custom:
#   id: shadow-read-by-transfer-tool
#   severity: critical
#   mitre: [T1003.008, T1048]
#   maturity: stable
deny contains msg if {
	input.event.action == "open"
	input.file.path in password_files
	transfer_tool
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Stored keys read by a general tool
# description: Keys of clouds, clusters and databases opened by a viewer, an archiver or a transfer tool instead of their own client.
# custom:
#   id: key-store-read
#   severity: medium
#   mitre: [T1552.001, T1552.005]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	endswith(input.file.path, key_stores[input.file.name])
	not other_token
	programs.name(input.process) in viewers | transfer_tools
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# By the executable, not the applet: an entry on busybox would keep everyone from logging in.
transfer_tool if programs.base(input.process.executable) in transfer_tools

# Only the token of a service account is one.
other_token if {
	input.file.name == "token"
	not contains(input.file.path, "/kubernetes.io/serviceaccount/")
}
