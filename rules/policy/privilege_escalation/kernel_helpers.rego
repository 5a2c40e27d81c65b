# METADATA
# title: Programs that the kernel starts
# description: core_pattern, modprobe and their like name what the kernel runs as root. Containers are in container_escape.
package sentinel.kernel_helpers

import data.sentinel.lib.files.changed
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager

helper_settings := {
	"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/proc/sys/kernel/poweroff_cmd", "/sys/kernel/uevent_helper",
	"/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/usermodehelper/bset",
}

# What keeps addresses secret and processes apart.
hardening := {
	"/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/dmesg_restrict", "/proc/sys/kernel/randomize_va_space", "/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/kernel/unprivileged_bpf_disabled",
	"/proc/sys/kernel/perf_event_paranoid", "/proc/sys/vm/mmap_min_addr", "/proc/sys/kernel/modules_disabled", "/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
}

setters := {"systemd", "systemd-sysctl", "sysctl", "systemd-binfmt", "update-binfmts", "apport", "apport-autoreport", "systemd-coredump", "abrtd", "abrt-hook-ccpp", "kdumpctl", "tuned", "procps"}

# METADATA
# title: Helper path of the kernel written
# description: On the host, by something other than systemd or sysctl. The next crash or unknown file makes the kernel run the named program as root.
# custom:
#   id: kernel-helper-write
#   severity: high
#   mitre: [T1068, T1546]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.path in helper_settings
	changed
	not input.container.id
	unexpected
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Protection of the kernel changed
# description: A setting that keeps exploits from working is written by something other than systemd or sysctl.
# custom:
#   id: kernel-hardening-write
#   severity: medium
#   mitre: [T1562.001, T1068]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.path in hardening
	changed
	unexpected
	msg := sprintf("%s writes %s", [input.process.executable, input.file.path])
}

unexpected if {
	not programs.expected(input.process, setters)
	not apport
	not by_package_manager
}

# Ubuntu's crash handler is a Python script.
apport if {
	some argument in input.process.args
	startswith(argument, "/usr/share/apport/")
}
