# METADATA
# title: Uploads
# description: Data leaves by tools that everybody has, to services that everybody knows.
package sentinel.upload

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.netcats
import data.sentinel.lib.programs.transfer_tools

drop_services := [
	"transfer.sh", "file.io", "0x0.st", "temp.sh", "bashupload.com", "oshi.at", "gofile.io", "anonfiles.com", "catbox.moe", "termbin.com", "pastebin.com", "paste.ee", "hastebin.com",
	"webhook.site", "requestbin.net", "pipedream.net", "oast.fun", "oast.pro", "oast.live", "oastify.com", "interact.sh", "burpcollaborator.net", "api.telegram.org", "discord.com", "discordapp.com", "mega.nz", "mega.co.nz",
]

cloud_tools := {"aws", "gsutil", "gcloud", "az", "azcopy", "rclone", "s3cmd", "s5cmd", "mc", "megacmd", "mega-put", "megatools", "megacopy", "b2", "restic", "croc", "wormhole", "ffsend", "transfer"}

secrets := ["/etc/shadow", "/etc/gshadow", "/.ssh/id_", "/.aws/credentials", "/.kube/config", "/.gnupg/"]

# Behind these a key is used, not sent.
key_options := {"-i", "--key", "--cert", "-E", "-o", "-e", "--rsh"}

# METADATA
# title: Upload below a server
# description: A web server, a database or PHP starts curl or wget with an upload. Applications that call a service by curl do so too; allow them by their arguments.
# custom:
#   id: upload-by-network-service
#   severity: high
#   mitre: [T1048, T1567]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	uploads(programs.name(input.process))
	by_network_service
	msg := sprintf("upload below a server: %s", [command_line])
}

# METADATA
# title: Secrets among the arguments of an upload
# description: curl, wget, scp, rsync or netcat is given a password file or a key to send.
# custom:
#   id: upload-of-secrets
#   severity: critical
#   mitre: [T1048, T1552.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	uploads(programs.name(input.process))
	some place, argument in input.process.args
	some secret in secrets
	contains(argument, secret)
	not used_as_key(place, argument)
	msg := sprintf("upload of a secret: %s", [command_line])
}

# METADATA
# title: Tool talks to a service for throw-away files
# description: The address was the answer to a look-up of such a service. By a shell, an interpreter, a transfer tool or a dropped program, not by a browser.
# custom:
#   id: drop-service-connect
#   severity: medium
#   mitre: [T1567, T1102]
#   maturity: incubating
alert contains msg if {
	input.event.action == "connect"
	drop_service(lower(input.destination.domain))
	general_tool
	msg := sprintf("%s contacts %s", [input.process.executable, input.destination.domain])
}

# METADATA
# title: Cloud storage tool below a server
# description: A web server, a database or PHP starts a client of cloud storage.
# custom:
#   id: cloud-storage-by-network-service
#   severity: high
#   mitre: [T1567.002]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in cloud_tools
	by_network_service
	msg := sprintf("cloud storage tool below a server: %s", [command_line])
}

uploads(name) if {
	name == "curl"
	some argument in input.process.args
	upload_option(argument)
}

uploads(name) if {
	name == "wget"
	some argument in input.process.args
	some option in ["--post-file", "--body-file"]
	startswith(argument, option)
}

uploads(name) if name in {"scp", "rsync", "sftp", "ftp", "tftp", "lftp"} | netcats

used_as_key(place, _) if input.process.args[place - 1] in key_options

used_as_key(_, argument) if {
	some prefix in ["-i/", "--rsh=", "-oIdentityFile", "--key=", "ssh "]
	startswith(argument, prefix)
}

upload_option(argument) if argument in {"-T", "--upload-file", "-F", "--form", "--data-binary", "--data-urlencode"}

upload_option(argument) if startswith(argument, "-d@")

upload_option(argument) if startswith(argument, "@/")

drop_service(domain) if domain in drop_services

drop_service(domain) if {
	some service in drop_services
	endswith(domain, concat("", [".", service]))
}

general_tool if programs.name(input.process) in transfer_tools

general_tool if programs.is_shell(input.process)

general_tool if programs.is_interpreter(input.process.executable)

general_tool if files.dropped(input.process.executable)
