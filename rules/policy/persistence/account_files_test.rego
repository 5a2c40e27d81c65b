package sentinel.account_files_test

import data.sentinel.account_files.alert
import data.sentinel.account_files.deny
import data.sentinel.fixtures as fx

test_shell_appends_a_user if {
	alert == {"/usr/bin/bash writes /etc/passwd"} with input as fx.write("/usr/bin/bash", "/etc/passwd")
}

test_copy_of_useradd if {
	count(alert) == 1 with input as fx.write("/tmp/useradd", "/etc/passwd")
}

test_useradd_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/sbin/useradd", "/etc/passwd")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/sbin/apache2", "/etc/passwd")
}

test_server_that_writes_passwd_is_an_alert if {
	count(deny) == 0 with input as fx.write("/usr/sbin/apache2", "/etc/passwd")
	count(alert) == 1 with input as fx.write("/usr/sbin/apache2", "/etc/passwd")
}

test_server_that_writes_sudoers_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/sbin/apache2", "/etc/sudoers.d/x")
}

test_tee_writes_sudoers if {
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/etc/sudoers.d/x")
}

test_visudo_passes if {
	count(alert) == 0 with input as fx.write("/usr/sbin/visudo", "/etc/sudoers.tmp")
}

test_editor_of_visudo_passes if {
	count(alert) == 0 with input as fx.started_by(fx.write("/usr/bin/vim.basic", "/etc/sudoers.tmp"), "/usr/sbin/visudo", ["visudo"])
}

test_package_manager_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/etc/sudoers.d/README.dpkg-new")
}

test_pam_configuration if {
	count(alert) == 1 with input as fx.write("/usr/bin/sed", "/etc/pam.d/common-auth")
}

test_pam_module if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/usr/lib/x86_64-linux-gnu/security/pam_unix.so")
}

test_accounts_renamed_into_place if {
	count(alert) >= 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/etc/passwd")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
