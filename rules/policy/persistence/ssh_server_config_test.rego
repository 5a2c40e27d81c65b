package sentinel.ssh_server_config_test

import data.sentinel.fixtures as fx
import data.sentinel.ssh_server_config.alert

test_sed_changes_settings if {
	alert == {"/usr/bin/sed writes /etc/ssh/sshd_config"} with input as fx.write("/usr/bin/sed", "/etc/ssh/sshd_config")
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/etc/ssh/sshd_config.d/99-x.conf")
}

test_those_who_may_pass if {
	count(alert) == 0 with input as fx.write("/usr/bin/vim.basic", "/etc/ssh/sshd_config")
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/etc/ssh/sshd_config.dpkg-new")
	count(alert) == 0 with input as fx.args(fx.write("/usr/bin/python3.11", "/etc/ssh/sshd_config.d/50-cloud-init.conf"), ["/usr/bin/python3", "/usr/bin/cloud-init", "init"])
}

test_program_at_log_in if {
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/etc/ssh/sshrc")
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/home/ann/.ssh/rc")
}

test_sshd_reads_them if {
	count(alert) == 0 with input as fx.open("/usr/sbin/sshd", "/etc/ssh/sshd_config")
	count(alert) == 0 with input as fx.open("/usr/bin/dash", "/etc/ssh/sshrc")
}
