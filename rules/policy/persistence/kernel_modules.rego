# METADATA
# title: Kernel module tools
# description: A module is code in the kernel, and whoever loads one can undo every control, this one too.
package sentinel.kernel_modules

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

# The kernel itself asks through modprobe with kthreadd as parent, which has no executable.
module_users := {
	"systemd", "systemd-udevd", "systemd-modules-load", "udevadm", "dockerd", "containerd", "kubelet", "crio", "libvirtd",
	"iptables", "xtables-nft-multi", "xtables-legacy-multi", "nft", "ip", "ipset", "mount", "mount.nfs", "zfs", "lvm", "cryptsetup", "kmod",
}

# METADATA
# title: Kernel module loaded by file
# description: insmod takes any file; distributions use modprobe, which takes installed modules.
# custom:
#   id: insmod
#   severity: high
#   mitre: [T1547.006, T1014]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "insmod"
	not by_package_manager
	msg := sprintf("kernel module loaded by file: %s", [command_line])
}

# METADATA
# title: Kernel module loaded or removed by an unexpected program
# description: modprobe or rmmod started by something other than the system's own device and network management.
# custom:
#   id: modprobe-by-unexpected-parent
#   severity: medium
#   mitre: [T1547.006]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in {"modprobe", "rmmod"}
	starter := input.process.parent.executable
	starter != ""
	not programs.expected(input.process.parent, module_users)
	not asks_only
	not by_package_manager
	msg := sprintf("%s starts: %s", [starter, command_line])
}

# METADATA
# title: Kernel module from a world-writable directory
# description: Any module tool is given a file that everyone could have written.
# custom:
#   id: kernel-module-from-writable-dir
#   severity: critical
#   mitre: [T1547.006, T1014]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) in {"insmod", "modprobe"}
	some argument in input.process.args
	files.world_writable(argument)
	msg := sprintf("kernel module from %s", [argument])
}

asks_only if {
	some argument in input.process.args
	argument in {"-n", "--dry-run", "--show", "-D", "--show-depends", "-c", "--showconfig", "-R", "--resolve-alias", "-V", "--version", "--show-modversions", "--dump-modversions"}
}
