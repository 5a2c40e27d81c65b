package sentinel.shell_rc_files_test

import data.sentinel.fixtures as fx
import data.sentinel.shell_rc_files.alert
import data.sentinel.shell_rc_files.deny

test_python_appends if {
	alert == {"/usr/bin/python3.11 writes /home/ann/.bashrc"} with input as fx.write("/usr/bin/python3.11", "/home/ann/.bashrc")
}

test_server_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/bin/redis-server", "/root/.profile")
	count(alert) == 0 with input as fx.write("/usr/bin/redis-server", "/root/.profile")
}

test_editor_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/vim.basic", "/home/ann/.bashrc")
}

test_copied_editor if {
	count(alert) == 1 with input as fx.write("/tmp/vim.basic", "/home/ann/.bashrc")
}

test_new_account_passes if {
	count(alert) == 0 with input as fx.write("/usr/sbin/useradd", "/home/bob/.profile")
}

test_shell_reads_its_file if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/bash", "/home/ann/.bashrc")
}

test_other_files_pass if {
	count(deny | alert) == 0 with input as data.sentinel.events.open_write
}

test_a_start_file_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/root/.bashrc")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
