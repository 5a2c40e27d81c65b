package sentinel.ransom_test

import data.sentinel.fixtures as fx
import data.sentinel.ransom.alert

test_note if {
	alert == {"/tmp/x writes /srv/HOW_TO_DECRYPT.txt"} with input as fx.write("/tmp/x", "/srv/HOW_TO_DECRYPT.txt")
}

test_ending if {
	count(alert) == 1 with input as fx.write("/tmp/x", "/srv/db.sql.LockBit")
}

test_ordinary_files_pass if {
	count(alert) == 0 with input as fx.write("/usr/bin/vim.basic", "/srv/README.md")
	count(alert) == 0 with input as fx.open("/usr/bin/cat", "/srv/HOW_TO_DECRYPT.txt")
}

below(caller_event) := fx.under(caller_event, "/usr/sbin/php-fpm8.2")

test_encryption_below_a_server if {
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/openssl", ["openssl", "enc", "-aes-256-cbc"]))
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/gpg", ["gpg", "--symmetric", "x"]))
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/7z", ["7z", "a", "-psecret", "x.7z", "/srv"]))
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/rar", ["rar", "a", "-hpsecret", "x.rar", "/srv"]))
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/zip", ["zip", "-P", "secret", "x.zip", "/srv"]))
	count(alert) == 1 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/age", ["age", "-o", "x", "y"]))
}

test_other_work_below_a_server if {
	count(alert) == 0 with input as below(fx.exec("/usr/bin/dash", "/usr/bin/openssl", ["openssl", "dgst", "-sha256"]))
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/gpg", ["gpg", "--symmetric", "x"])
}

test_snapshots_removed if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/zfs", ["zfs", "destroy", "-r", "tank@daily"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/btrfs", ["btrfs", "subvolume", "delete", "/.snapshots/1"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/sbin/lvremove", ["lvremove", "-f", "vg/snap"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/snapper", ["snapper", "delete", "1-100"])
}

test_rotation_passes if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/sbin/zfs", ["zfs", "destroy", "tank@old"]), "/usr/sbin/cron")
	count(alert) == 0 with input as fx.exec("/usr/lib/systemd/systemd", "/usr/bin/snapper", ["snapper", "delete", "1"])
}
