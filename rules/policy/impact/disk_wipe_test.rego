package sentinel.disk_wipe_test

import data.sentinel.disk_wipe.alert
import data.sentinel.fixtures as fx

test_disk_opened_for_writing if {
	alert == {"/usr/bin/python3.11 writes to the disk /dev/sda"} with input as fx.write("/usr/bin/python3.11", "/dev/sda")
}

test_disk_tools_pass if {
	count(alert) == 0 with input as fx.write("/usr/sbin/mke2fs", "/dev/nvme0n1p3")
	count(alert) == 0 with input as fx.write("/usr/sbin/lvm", "/dev/mapper/control")
	count(alert) == 0 with input as fx.write("/usr/bin/bash", "/dev/mapper/control")
}

test_reading_a_disk_passes if {
	count(alert) == 0 with input as fx.open("/usr/bin/dd", "/dev/sda")
}

test_disk_wiped_by_command if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/dd", ["dd", "if=/dev/zero", "of=/dev/sda", "bs=1M"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/mkfs.ext4", ["mkfs.ext4", "/dev/vdb"])
}

test_copy_of_a_disk_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/dd", ["dd", "if=/dev/sda", "of=/srv/disk.img"])
}

test_everything_removed if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "-rf", "/"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "--recursive", "/etc"])
}

test_ordinary_removal_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "-rf", "/srv/build"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "/etc"])
	count(alert) == 0 with input as fx.in_container(fx.exec("/usr/bin/bash", "/usr/bin/rm", ["rm", "-rf", "/var"]))
}
