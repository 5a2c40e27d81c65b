package sentinel.cloud_metadata_test

import data.sentinel.cloud_metadata.alert
import data.sentinel.cloud_metadata.deny
import data.sentinel.fixtures as fx

test_proxy_is_denied if {
	deny == {"/usr/sbin/nginx contacts the metadata service 169.254.169.254"} with input as fx.connect("/usr/sbin/nginx", "169.254.169.254", 80)
}

test_ipv6_address if {
	count(deny) == 1 with input as fx.connect("/usr/sbin/haproxy", "fd00:ec2::254", 80)
}

test_dropped_program_is_denied if {
	count(deny) == 1 with input as fx.connect("/tmp/imds", "169.254.169.254", 80)
	count(deny) == 1 with input as fx.connect("/memfd:x (deleted)", "169.254.170.2", 80)
}

test_download_tool_is_an_alert if {
	count(deny) == 0 with input as fx.connect("/usr/bin/curl", "169.254.169.254", 80)
	count(alert) == 1 with input as fx.connect("/usr/bin/curl", "169.254.169.254", 80)
}

test_busybox_wget_is_an_alert if {
	count(alert) == 1 with input as fx.args(fx.connect("/bin/busybox", "169.254.169.254", 80), ["wget", "-qO-", "http://169.254.169.254/"])
}

test_php_is_an_alert if {
	count(alert) == 1 with input as fx.connect("/usr/sbin/php-fpm8.2", "169.254.169.254", 80)
}

test_cloud_agent_passes if {
	count(deny | alert) == 0 with input as fx.connect("/usr/bin/amazon-ssm-agent", "169.254.169.254", 80)
}

test_application_with_an_sdk_passes if {
	count(deny | alert) == 0 with input as fx.connect("/usr/lib/jvm/java-17/bin/java", "169.254.169.254", 80)
}

test_name_look_up_passes if {
	count(deny | alert) == 0 with input as fx.udp(fx.connect("/usr/bin/curl", "169.254.169.254", 53))
}

test_other_address_passes if {
	count(deny | alert) == 0 with input as fx.connect("/usr/sbin/nginx", "169.254.1.1", 80)
}
