package sentinel.ssh_keys_test

import data.sentinel.fixtures as fx
import data.sentinel.ssh_keys.alert
import data.sentinel.ssh_keys.deny

test_cat_reads_a_key if {
	alert == {"/usr/bin/cat opens the private key /root/.ssh/id_ed25519"} with input as fx.open("/usr/bin/cat", "/root/.ssh/id_ed25519")
}

test_key_under_another_name if {
	count(alert) == 1 with input as fx.open("/usr/bin/cp", "/home/ann/.ssh/aws.pem")
}

test_host_key if {
	count(alert) == 1 with input as fx.open("/usr/bin/tar", "/etc/ssh/ssh_host_rsa_key")
}

test_copy_of_ssh if {
	count(alert) == 1 with input as fx.open("/dev/shm/ssh", "/home/ann/.ssh/id_rsa")
}

test_ssh_reads_its_key if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/ssh", "/home/ann/.ssh/id_rsa")
}

test_sshd_reads_its_host_key if {
	count(alert) == 0 with input as fx.open("/usr/sbin/sshd", "/etc/ssh/ssh_host_rsa_key")
}

test_public_keys_are_public if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/home/ann/.ssh/id_rsa.pub")
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/etc/ssh/ssh_host_rsa_key.pub")
}

test_known_hosts_pass if {
	count(alert) == 0 with input as fx.open("/usr/bin/grep", "/home/ann/.ssh/known_hosts")
}

test_encoder_is_denied if {
	count(deny) == 1 with input as fx.open("/usr/bin/base64", "/home/ann/.ssh/id_rsa")
	count(alert) == 0 with input as fx.open("/usr/bin/base64", "/home/ann/.ssh/id_rsa")
}

test_curl_is_an_alert if {
	count(deny) == 0 with input as fx.open("/usr/bin/curl", "/home/ann/.ssh/id_rsa")
	count(alert) == 1 with input as fx.open("/usr/bin/curl", "/home/ann/.ssh/id_rsa")
}
