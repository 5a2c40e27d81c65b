package sentinel.ssh_authorized_keys_test

import data.sentinel.fixtures as fx
import data.sentinel.ssh_authorized_keys.alert
import data.sentinel.ssh_authorized_keys.deny

test_shell_appends_a_key if {
	alert == {"/usr/bin/bash writes /root/.ssh/authorized_keys"} with input as fx.write("/usr/bin/bash", "/root/.ssh/authorized_keys")
}

test_second_key_file if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/home/ann/.ssh/authorized_keys2")
}

test_redis_is_denied if {
	count(deny) == 1 with input as fx.write("/usr/bin/redis-server", "/root/.ssh/temp-77.rdb")
}

test_web_server_is_denied_once if {
	count(deny | alert) == 1 with input as fx.write("/usr/sbin/nginx", "/root/.ssh/authorized_keys")
}

test_cloud_agent_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/google_guest_agent", "/home/ann/.ssh/authorized_keys")
}

test_sshd_reads if {
	count(deny | alert) == 0 with input as fx.open("/usr/sbin/sshd", "/home/ann/.ssh/authorized_keys")
}

test_known_hosts_pass if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/ssh", "/home/ann/.ssh/known_hosts")
}

test_keys_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/root/.ssh/authorized_keys")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
