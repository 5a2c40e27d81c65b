package sentinel.boot_files_test

import data.sentinel.boot_files.alert
import data.sentinel.fixtures as fx

test_shell_changes_the_boot_menu if {
	alert == {"/usr/bin/bash writes the boot file /etc/default/grub"} with input as fx.write("/usr/bin/bash", "/etc/default/grub")
}

test_initramfs_replaced if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/boot/initrd.img-6.12")
}

test_module_dropped if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", "/lib/modules/6.12/extra/x.ko")
	count(alert) == 1 with input as fx.write("/usr/bin/tee", "/etc/modprobe.d/x.conf")
}

test_update_grub_passes if {
	count(alert) == 0 with input as fx.started_by(fx.write("/usr/bin/mv", "/boot/grub/grub.cfg"), "/usr/bin/dash", ["/bin/sh", "/usr/sbin/grub-mkconfig", "-o", "/boot/grub/grub.cfg"])
	count(alert) == 0 with input as fx.args(fx.write("/usr/bin/dash", "/boot/grub/grub.cfg.new"), ["/bin/sh", "/usr/sbin/grub-mkconfig"])
}

test_script_of_that_name_elsewhere if {
	count(alert) == 1 with input as fx.args(fx.write("/usr/bin/dash", "/boot/grub/grub.cfg"), ["/bin/sh", "/tmp/update-grub"])
}

test_depmod_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/kmod", "/lib/modules/6.12/modules.dep")
	count(alert) == 0 with input as fx.write("/usr/bin/bootctl", "/boot/loader/entries/x.conf")
}

test_package_manager_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/boot/vmlinuz-6.12.dpkg-new")
}

test_reading_passes if {
	count(alert) == 0 with input as fx.open("/usr/bin/cat", "/boot/config-6.12")
}

test_a_boot_file_renamed_into_place if {
	count(alert) == 1 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/boot/grub/grub.cfg")
	count(alert) == 0 with input as fx.rename("/usr/bin/mv", "/tmp/x", "/tmp/y")
}
