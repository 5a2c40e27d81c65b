# METADATA
# title: Boot files
# description: Boot loader, kernel, initial RAM disk and module settings run before anything that could watch them.
package sentinel.boot_files

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager

boot_files := ["/boot/", "/efi/", "/etc/grub.d/", "/etc/default/grub", "/etc/initramfs-tools/", "/etc/dracut.conf", "/etc/mkinitcpio", "/etc/kernel/"]

module_files := ["/etc/modules", "/etc/modprobe.d/", "/etc/modules-load.d/", "/lib/modules/", "/usr/lib/modules/"]

# Run by package scripts and by administrators.
boot_tools := {
	"update-grub", "grub-mkconfig", "grub2-mkconfig", "grub-install", "grub2-install", "grub-editenv", "grub2-editenv", "grubby", "bootctl", "kernel-install", "installkernel",
	"update-initramfs", "mkinitramfs", "dracut", "mkinitcpio", "booster", "ukify", "sbsign", "sbctl", "fwupd", "depmod", "dkms", "kmod", "efibootmgr", "systemd", "systemd-boot-random-seed", "systemd-bless-boot",
}

# METADATA
# title: Boot file written
# description: By something other than a package manager or a tool for booting. Their helpers (cp, mv, cpio) are known by what started them.
# custom:
#   id: boot-file-write
#   severity: high
#   mitre: [T1542]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, boot_files)
	unexpected
	msg := sprintf("%s writes the boot file %s", [input.process.executable, path])
}

# METADATA
# title: Kernel module or its settings written
# description: A module that is loaded at the next start, or an option that makes modprobe run a command.
# custom:
#   id: module-file-write
#   severity: high
#   mitre: [T1547.006]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, module_files)
	unexpected
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

unexpected if {
	not by_boot_tool
	not by_package_manager
	not by_container_runtime
}

by_boot_tool if programs.expected(input.process, boot_tools)

# Most of these tools are shell scripts: the ancestor is a shell with the script as its argument.
by_boot_tool if {
	some argument in input.process.args
	programs.base(argument) in boot_tools
	programs.installed(argument)
}

by_boot_tool if {
	some argument in input.process.parent.args
	programs.base(argument) in boot_tools
	programs.installed(argument)
}
