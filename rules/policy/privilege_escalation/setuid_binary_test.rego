package sentinel.setuid_binary_test

import data.sentinel.fixtures as fx
import data.sentinel.setuid_binary.alert

test_symbolic_mode if {
	alert == {"set-user-ID bit set: chmod u+s /tmp/sh"} with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "u+s", "/tmp/sh"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "+sx", "x"])
}

test_octal_mode if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "4755", "x"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "06755", "x"])
}

test_busybox_chmod if {
	count(alert) == 1 with input as fx.exec("/bin/busybox", "/bin/busybox", ["chmod", "4755", "x"])
}

test_ordinary_modes_pass if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "0755", "x"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "u+x", "sources.sh"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "755", "file", "4+s"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "1777", "/srv/drop"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/chmod", ["chmod", "g+s", "/srv/team"])
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/chmod", ["chmod", "4755", "/usr/bin/fusermount3"]), "/usr/bin/dpkg")
}

test_capability if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/setcap", ["setcap", "cap_setuid+ep", "/usr/bin/python3.11"])
}

test_harmless_capability_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/sbin/setcap", ["setcap", "cap_net_bind_service+ep", "/usr/bin/caddy"])
}

test_cron_runs_a_file_in_tmp_as_root if {
	count(alert) == 1 with input as object.union(fx.exec("/usr/sbin/cron", "/tmp/x", ["x"]), {"process": {"user": {"id": "0"}}})
}

test_cron_runs_a_file_in_tmp_as_a_user if {
	count(alert) == 0 with input as fx.exec("/usr/sbin/cron", "/tmp/x", ["x"])
}
