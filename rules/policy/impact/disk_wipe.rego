# METADATA
# title: Disks overwritten
# description: Writing past the file system destroys what is on a disk, or changes it unseen.
package sentinel.disk_wipe

import data.sentinel.lib.files.changed
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

# What makes, checks, grows, encrypts or serves disks.
disk_tools := {
	"systemd", "systemd-udevd", "udevadm", "udisksd", "systemd-repart", "systemd-growfs", "systemd-makefs", "systemd-cryptsetup", "lvm", "dmsetup", "dmeventd", "mdadm", "multipathd", "iscsid", "zpool", "zfs", "zed",
	"fdisk", "sfdisk", "cfdisk", "gdisk", "sgdisk", "parted", "partprobe", "partx", "growpart", "gparted", "gpartedbin", "kpartx", "blkid", "blockdev", "losetup", "cryptsetup", "veritysetup", "integritysetup",
	"mke2fs", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.fat", "mkswap", "swapon", "e2fsck", "fsck.ext4", "fsck.fat", "resize2fs", "tune2fs", "xfs_repair", "xfs_growfs", "btrfs", "ntfs-3g", "mount", "mount.ntfs", "smartd", "smartctl", "hdparm",
	"nvme", "sg_inq", "grub-install", "grub2-install", "grub-bios-setup", "qemu-system-x86_64", "qemu-nbd", "qemu-img", "libvirtd", "virtqemud", "ceph-osd", "ceph-volume", "drbdsetup", "partclone", "clonezilla",
}

# METADATA
# title: Disk opened for writing
# description: A whole disk or partition is opened for writing by something other than a tool for disks.
# custom:
#   id: disk-device-write
#   severity: high
#   mitre: [T1561]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	disk(input.file.path)
	changed
	not programs.expected(input.process, disk_tools)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes to the disk %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Disk wiped by command
# description: dd, shred, wipefs, blkdiscard or mkfs aimed at a disk. Setting up a machine looks the same.
# custom:
#   id: disk-wipe-command
#   severity: high
#   mitre: [T1561, T1485]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	wiper(programs.name(input.process))
	some argument in input.process.args
	disk(trim_prefix(argument, "of="))
	not by_package_manager
	msg := sprintf("disk wiped: %s", [command_line])
}

# METADATA
# title: Everything removed
# description: rm -r on the root directory or one that the system cannot do without.
# custom:
#   id: remove-system-directory
#   severity: critical
#   mitre: [T1485]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "rm"
	some option in input.process.args
	recursive(option)
	some target in input.process.args
	target in {"/", "/*", "/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/root", "/sbin", "/usr", "/var", "/srv", "/opt", "--no-preserve-root"}
	not input.container.id
	msg := sprintf("removal of a system directory: %s", [command_line])
}

disk(path) if {
	some prefix in ["/dev/sd", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/nvme", "/dev/mmcblk", "/dev/md", "/dev/dm-", "/dev/mapper/", "/dev/disk/"]
	startswith(path, prefix)
	path != "/dev/mapper/control"
}

wiper(name) if name in {"dd", "shred", "wipefs", "blkdiscard", "badblocks", "sgdisk", "scrub", "nwipe"}

wiper(name) if startswith(name, "mkfs")

recursive(option) if option in {"--recursive", "--no-preserve-root"}

recursive(option) if {
	startswith(option, "-")
	not startswith(option, "--")
	contains(lower(option), "r")
}
