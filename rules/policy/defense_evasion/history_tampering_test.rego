package sentinel.history_tampering_test

import data.sentinel.fixtures as fx
import data.sentinel.history_tampering.alert

test_history_unlinked if {
	alert == {"/usr/bin/rm changes the history file /root/.bash_history"} with input as fx.unlink("/usr/bin/rm", "/root/.bash_history")
}

test_history_overwritten if {
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/home/ann/.zsh_history")
}

test_busybox_rm if {
	count(alert) == 1 with input as fx.args(fx.unlink("/bin/busybox", "/root/.ash_history"), ["rm", "/root/.ash_history"])
}

test_shell_writes_its_history if {
	count(alert) == 0 with input as fx.write("/usr/bin/bash", "/home/ann/.bash_history")
}

test_busybox_shell_writes_its_history if {
	count(alert) == 0 with input as fx.args(fx.write("/bin/busybox", "/root/.ash_history"), ["-ash"])
}

test_history_read if {
	count(alert) == 0 with input as fx.open("/usr/bin/grep", "/home/ann/.bash_history")
}

test_user_removed if {
	count(alert) == 0 with input as fx.unlink("/usr/sbin/userdel", "/home/ann/.bash_history")
}

test_shred_with_argument if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/shred", ["shred", "-u", "/root/.bash_history"])
}

test_link_to_nowhere if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/ln", ["ln", "-sf", "/dev/null", "/root/.bash_history"])
}

test_dd_with_argument if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/dd", ["dd", "if=/dev/zero", "of=/root/.mysql_history"])
}

test_removing_another_file_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "-f", "history.txt"])
}

test_history_file_set_to_null if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/env", ["env", "HISTFILE=/dev/null", "bash"])
}

test_history_switched_off_over_ssh if {
	count(alert) == 1 with input as fx.exec("/usr/sbin/sshd", "/usr/bin/bash", ["bash", "-c", "unset HISTFILE; id"])
}

test_grep_for_the_variable_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/grep", ["grep", "HISTFILE=/dev/null", "/etc/profile"])
}
