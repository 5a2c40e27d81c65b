# METADATA
# title: Database dumps
# description: All of a database in one file is what an intruder takes along.
package sentinel.database_dump

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

dump_tools := {"mysqldump", "mariadb-dump", "mydumper", "pg_dump", "pg_dumpall", "mongodump", "mongoexport", "redis-dump", "sqlite3_rsync", "slapcat", "etcdctl"}

# METADATA
# title: Database dumped below a web server
# description: The web application, or a shell below it, starts a dump tool. Backups from an administration page do so too.
# custom:
#   id: database-dump-by-network-service
#   severity: high
#   mitre: [T1213, T1005]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in dump_tools
	by_network_service
	msg := sprintf("database dumped below a server: %s", [command_line])
}

# METADATA
# title: Database dumped into a world-writable directory
# description: A dump tool writes below /tmp, /var/tmp or /dev/shm, where everyone looks and where data waits to be taken.
# custom:
#   id: database-dump-into-writable-dir
#   severity: medium
#   mitre: [T1213, T1074.001]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	input.file.create
	files.world_writable(input.file.path)
	programs.base(input.process.executable) in dump_tools
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}
