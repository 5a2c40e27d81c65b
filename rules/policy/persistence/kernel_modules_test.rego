package sentinel.kernel_modules_test

import data.sentinel.fixtures as fx
import data.sentinel.kernel_modules.alert

test_insmod if {
	alert == {"kernel module loaded by file: insmod rootkit.ko"} with input as fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["insmod", "rootkit.ko"])
}

test_insmod_as_an_argument_of_kmod if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["kmod", "insmod", "rootkit.ko"])
}

test_busybox_insmod if {
	count(alert) == 1 with input as fx.exec("/bin/busybox", "/bin/busybox", ["busybox", "insmod", "rootkit.ko"])
}

test_insmod_from_tmp_is_also_critical if {
	alert == {
		"kernel module loaded by file: insmod /tmp/x.ko",
		"kernel module from /tmp/x.ko",
	} with input as fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["insmod", "/tmp/x.ko"])
}

test_modprobe_by_a_shell if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["modprobe", "dummy"])
}

test_modprobe_by_a_copy_of_udev if {
	count(alert) == 1 with input as fx.exec("/tmp/systemd-udevd", "/usr/bin/kmod", ["modprobe", "dummy"])
}

test_modprobe_by_docker_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dockerd", "/usr/bin/kmod", ["modprobe", "overlay"])
}

test_modprobe_by_the_kernel_passes if {
	count(alert) == 0 with input as fx.exec("", "/usr/bin/kmod", ["/sbin/modprobe", "-q", "--", "net-pf-38"])
}

test_modprobe_that_only_asks_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/bin/kmod", ["modprobe", "--show-depends", "ext4"])
}

test_package_script_passes if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/kmod", ["modprobe", "zfs"]), "/usr/bin/dpkg")
}

test_listing_modules_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["lsmod"])
}
