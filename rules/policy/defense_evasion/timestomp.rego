# METADATA
# title: Times of files forged
# description: A dropped file is given the age of its neighbours. Arguments are advisory, so these are alerts.
package sentinel.timestomp

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

system_directories := ["/usr/", "/bin/", "/sbin/", "/lib", "/etc/", "/boot/", "/var/spool/cron", "/var/log/", "/var/www/", "/root/.ssh/"]

# METADATA
# title: touch sets an old time on a system file
# description: touch -r, -t or -d on a file of the system outside a package's own scripts.
# custom:
#   id: timestomp-system-file
#   severity: medium
#   mitre: [T1070.006]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "touch"
	some option in input.process.args
	sets_time(option)
	some target in input.process.args
	files.below(target, system_directories)
	not by_package_manager
	msg := sprintf("time of a system file set: %s", [command_line])
}

# METADATA
# title: Inode edited by debugfs
# description: debugfs -w changes what no system call can, times of inodes among them.
# custom:
#   id: debugfs-write
#   severity: high
#   mitre: [T1070.006, T1006]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "debugfs"
	"-w" in input.process.args
	msg := sprintf("file system edited: %s", [command_line])
}

sets_time(option) if option in {"-r", "-t", "-d", "--reference", "--date", "-acmr", "-amr", "-cr"}

sets_time(option) if startswith(option, "--reference=")

sets_time(option) if startswith(option, "--date=")
