package sentinel.credential_files_test

import data.sentinel.credential_files.alert
import data.sentinel.credential_files.deny
import data.sentinel.fixtures as fx

test_cat_is_an_alert if {
	alert == {"/usr/bin/cat opens /etc/shadow"} with input as fx.open("/usr/bin/cat", "/etc/shadow")
	count(deny) == 0 with input as fx.open("/usr/bin/cat", "/etc/shadow")
}

test_backup_copy if {
	count(alert) == 1 with input as fx.open("/usr/bin/python3.11", "/etc/gshadow-")
}

test_busybox_cat if {
	count(alert) == 1 with input as fx.args(fx.open("/bin/busybox", "/etc/shadow"), ["cat", "/etc/shadow"])
}

test_copy_of_a_login_program if {
	count(alert) == 1 with input as fx.open("/tmp/sshd", "/etc/shadow")
}

test_sudo_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/sudo", "/etc/shadow")
}

test_upgraded_sshd_passes if {
	count(alert) == 0 with input as fx.open("/usr/sbin/sshd (deleted)", "/etc/shadow")
}

test_busybox_login_passes if {
	count(deny | alert) == 0 with input as fx.args(fx.open("/bin/busybox", "/etc/shadow"), ["login"])
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.open("/usr/bin/perl", "/etc/shadow"), "/usr/bin/dpkg")
}

test_passwd_is_public if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/etc/passwd")
}

test_transfer_tool_is_denied if {
	deny == {"/usr/bin/curl opens /etc/shadow"} with input as fx.open("/usr/bin/curl", "/etc/shadow")
	count(alert) == 0 with input as fx.open("/usr/bin/curl", "/etc/shadow")
}

test_busybox_is_never_denied if {
	count(deny) == 0 with input as fx.args(fx.open("/bin/busybox", "/etc/shadow"), ["base64", "/etc/shadow"])
	count(alert) == 1 with input as fx.args(fx.open("/bin/busybox", "/etc/shadow"), ["base64", "/etc/shadow"])
}

test_cloud_keys_in_a_viewer if {
	count(alert) == 1 with input as fx.open("/usr/bin/cat", "/home/ann/.aws/credentials")
}

test_cluster_token_in_an_archiver if {
	count(alert) == 1 with input as fx.open("/usr/bin/tar", "/run/secrets/kubernetes.io/serviceaccount/token")
}

test_token_through_the_mounted_directory if {
	count(alert) == 1 with input as fx.open("/usr/bin/cat", "/run/secrets/kubernetes.io/serviceaccount/..2026_11_22/token")
}

test_other_files_of_that_name_pass if {
	count(alert) == 0 with input as fx.open("/usr/bin/cat", "/home/ann/.git/config")
	count(alert) == 0 with input as fx.open("/usr/bin/cat", "/srv/shop/token")
}

test_cloud_client_passes if {
	count(alert) == 0 with input as fx.open("/usr/local/bin/aws", "/home/ann/.aws/credentials")
}

test_other_action_passes if {
	count(deny | alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/cat", ["cat", "/etc/shadow"])
}
