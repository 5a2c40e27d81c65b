package sentinel.log_tampering_test

import data.sentinel.fixtures as fx
import data.sentinel.log_tampering.alert

test_login_records_edited if {
	alert == {"/usr/bin/python3.11 changes /var/log/wtmp"} with input as fx.write("/usr/bin/python3.11", "/var/log/wtmp")
}

test_copy_of_sshd_edits_records if {
	count(alert) == 1 with input as fx.write("/tmp/sshd", "/var/log/lastlog")
}

test_sshd_writes_records if {
	count(alert) == 0 with input as fx.write("/usr/sbin/sshd", "/var/log/wtmp")
}

test_last_reads_records if {
	count(alert) == 0 with input as fx.open("/usr/bin/last", "/var/log/wtmp")
}

test_log_shredded if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/shred", ["shred", "-u", "/var/log/auth.log"])
}

test_log_truncated_by_dd if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/dd", ["dd", "if=/dev/null", "of=/var/log/syslog"])
}

test_rotation_passes if {
	count(alert) == 0 with input as fx.exec("/usr/sbin/logrotate", "/usr/bin/mv", ["mv", "/var/log/syslog.1", "/var/log/syslog.2"])
}

test_log_of_an_application_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "/var/log/shop/access.log"])
}

test_journal_vacuumed if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/journalctl", ["journalctl", "--rotate", "--vacuum-time=1s"])
}

test_journal_read if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/journalctl", ["journalctl", "-u", "nginx"])
}
