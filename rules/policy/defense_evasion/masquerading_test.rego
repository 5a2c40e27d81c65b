package sentinel.masquerading_test

import data.sentinel.fixtures as fx
import data.sentinel.masquerading.alert

test_file_named_like_a_kernel_thread if {
	alert == {"/var/lib/kworker runs under the name kworker/0:1 of a kernel thread"} with input as fx.exec("/usr/bin/bash", "/var/lib/kworker", ["kworker/0:1"])
}

test_argument_named_like_a_kernel_thread if {
	count(alert) == 1 with input as fx.exec("/usr/bin/perl", "/usr/bin/perl", ["[kworker/u8:3]"])
}

test_copied_service if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/home/ann/sshd", ["sshd"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/tmp/systemd", ["systemd"])
}

test_service_in_an_image_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/runc", "/var/lib/docker/overlay2/ab/merged/usr/sbin/cron", ["cron"])
}

test_real_service_passes if {
	count(alert) == 0 with input as fx.exec("/usr/lib/systemd/systemd", "/usr/sbin/sshd", ["/usr/sbin/sshd", "-D"])
}

test_package_unpacks_itself if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/tmp/systemd", ["systemd", "--version"]), "/usr/bin/dpkg")
}

test_hidden_directories if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/var/tmp/.x/run", ["run"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/home/ann/.../run", ["run"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/home/ann/ /run", ["run"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/home/ann/.. /run", ["run"])
}

test_tools_in_a_home_pass if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/home/ann/.cargo/bin/cargo", ["cargo", "build"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/srv/shop/node_modules/.bin/webpack", ["webpack"])
}
