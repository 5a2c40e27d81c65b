package sentinel.container_escape_test

import data.sentinel.container_escape.alert
import data.sentinel.fixtures as fx

test_container_writes_core_pattern if {
	count(alert) == 1 with input as fx.in_container(fx.write("/usr/bin/bash", "/proc/sys/kernel/core_pattern"))
}

test_container_writes_release_agent if {
	count(alert) == 1 with input as fx.in_container(fx.write("/usr/bin/bash", "/tmp/cgrp/release_agent"))
}

test_container_reads_core_pattern if {
	count(alert) == 0 with input as fx.in_container(fx.open("/usr/bin/cat", "/proc/sys/kernel/core_pattern"))
}

test_host_writes_core_pattern if {
	count(alert) == 0 with input as fx.write("/usr/lib/systemd/systemd-sysctl", "/proc/sys/kernel/core_pattern")
}

test_curl_on_the_runtime_socket if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "--unix-socket", "/var/run/docker.sock", "http://x/containers/json"])
}

test_privileged_container if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/docker", ["docker", "run", "--privileged", "alpine"])
}

test_container_with_the_root_directory if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/docker", ["docker", "run", "-v", "/:/host", "alpine"])
}

test_ordinary_container if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/docker", ["docker", "run", "-v", "/srv/shop:/srv", "shop"])
}

test_nsenter_into_init if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/nsenter", ["nsenter", "-t", "1", "-m", "bash"])
	count(alert) == 1 with input as fx.exec("/bin/busybox", "/bin/busybox", ["nsenter", "--target=1", "-a"])
}

test_nsenter_into_a_container if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/nsenter", ["nsenter", "-t", "4711", "-n", "ss"])
}
