package sentinel.cron_write_test

import data.sentinel.cron_write.alert
import data.sentinel.cron_write.deny
import data.sentinel.fixtures as fx

test_shell_writes_a_job if {
	alert == {"/usr/bin/bash writes the job file /etc/cron.d/x"} with input as fx.write("/usr/bin/bash", "/etc/cron.d/x")
}

test_shell_writes_a_crontab_of_a_user if {
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/var/spool/cron/crontabs/root")
}

test_copy_of_crontab if {
	count(alert) == 1 with input as fx.write("/tmp/crontab", "/var/spool/cron/crontabs/root")
}

test_redis_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/bin/redis-server", "/var/spool/cron/crontabs/temp-77.rdb")
	count(alert) == 0 with input as fx.write("/usr/bin/redis-server", "/var/spool/cron/crontabs/temp-77.rdb")
}

test_php_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/php-fpm8.2", "/etc/cron.d/x")
}

test_crontab_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/crontab", "/var/spool/cron/crontabs/tmp.XyZ")
}

test_package_manager_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/etc/cron.d/php.dpkg-new")
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.write("/usr/bin/cp", "/etc/cron.d/sysstat"), "/usr/bin/dpkg")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/etc/crontab")
}

test_other_file_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/redis-server", "/var/lib/redis/dump.rdb")
}

test_a_job_renamed_into_place if {
	alert == {"/usr/bin/mv writes the job file /etc/cron.d/x"} with input as fx.rename("/usr/bin/mv", "/tmp/x", "/etc/cron.d/x")
	count(alert) == 1 with input as fx.link("/usr/bin/ln", "/tmp/x", "/etc/cron.d/x")
	count(deny) == 1 with input as fx.rename("/usr/bin/redis-server", "/tmp/x", "/var/spool/cron/crontabs/root")
}

test_renamed_elsewhere_passes if {
	count(deny | alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/srv/x")
}
