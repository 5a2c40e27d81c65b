# METADATA
# title: Scheduled jobs
# description: Files of cron and at, changed by something that does not manage them.
package sentinel.cron_write

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager

job_files := ["/etc/cron", "/etc/anacrontab", "/var/spool/cron/", "/var/spool/at/"]

job_managers := {"crontab", "cron", "crond", "at", "atd", "anacron", "run-parts"}

# METADATA
# title: Network service writes a scheduled job
# description: Servers are made to save their data as a job file. The entry keeps this server from this file.
# custom:
#   id: cron-write-by-network-service
#   severity: critical
#   mitre: [T1053.003, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, job_files)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes the job file %s", [input.process.executable, path])
}

# METADATA
# title: Scheduled job written
# description: Someone other than a package manager, crontab or at writes a job. Administrators with an editor do so too.
# custom:
#   id: cron-write
#   severity: medium
#   mitre: [T1053.003, T1053.002]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, job_files)
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, job_managers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes the job file %s", [input.process.executable, path])
}
