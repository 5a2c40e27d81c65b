package sentinel.database_dump_test

import data.sentinel.database_dump.alert
import data.sentinel.fixtures as fx

dump := fx.exec("/usr/bin/dash", "/usr/bin/mysqldump", ["mysqldump", "--all-databases"])

test_dump_below_php if {
	alert == {"database dumped below a server: mysqldump --all-databases"} with input as fx.under(dump, "/usr/sbin/php-fpm8.2")
}

test_nightly_backup_passes if {
	count(alert) == 0 with input as fx.under(dump, "/usr/sbin/cron")
}

test_dump_into_tmp if {
	count(alert) == 1 with input as fx.write("/usr/bin/pg_dump", "/tmp/all.sql")
}

test_dump_into_the_backup_directory if {
	count(alert) == 0 with input as fx.write("/usr/bin/pg_dump", "/var/backups/all.sql")
}

test_dump_tool_reads_its_settings if {
	count(alert) == 0 with input as fx.open("/usr/bin/pg_dump", "/tmp/settings")
}
