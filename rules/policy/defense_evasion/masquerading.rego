# METADATA
# title: Masquerading
# description: Programs that call themselves something they are not, or lie where nobody looks.
package sentinel.masquerading

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_package_manager

kernel_threads := ["kworker", "kthreadd", "ksoftirqd", "kswapd", "kdevtmpfs", "khugepaged", "kcompactd", "kintegrityd", "rcu_sched", "rcu_preempt", "migration", "watchdogd", "jbd2", "scsi_eh", "kauditd", "kblockd"]

# Programs whose names intruders borrow. Below the system directories and /opt they are the real ones.
borrowed := {"systemd", "systemd-logind", "systemd-journald", "systemd-udevd", "systemd-resolved", "sshd", "cron", "crond", "rsyslogd", "dbus-daemon", "udevd", "agetty", "polkitd", "NetworkManager", "auditd", "dhclient", "init"}

# METADATA
# title: Program named like a kernel thread
# description: Kernel threads execute no files, so a file or a first argument of that name is a disguise.
# custom:
#   id: kernel-thread-name
#   severity: high
#   mitre: [T1036.004, T1036.005]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	disguised
	msg := sprintf("%s runs under the name %s of a kernel thread", [input.process.executable, input.process.args[0]])
}

# METADATA
# title: Program with the name of a system service in another place
# description: A file called sshd or systemd that is executed from a home, a temporary or a data directory.
# custom:
#   id: borrowed-service-name
#   severity: high
#   mitre: [T1036.005]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in borrowed
	elsewhere(input.process.executable)
	not by_package_manager
	msg := sprintf("%s has the name of a system service", [input.process.executable])
}

# METADATA
# title: Program in a hidden directory
# description: A directory called "..." or of spaces, or one that starts with a dot outside homes.
# custom:
#   id: hidden-directory-exec
#   severity: high
#   mitre: [T1564.001]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	hidden(input.file.path)
	msg := sprintf("execution of %s", [input.file.path])
}

disguised if {
	some thread in kernel_threads
	startswith(programs.base(input.process.executable), thread)
}

# Kernel threads stand in brackets in lists of processes.
disguised if {
	some thread in kernel_threads
	startswith(input.process.args[0], concat("", ["[", thread]))
}

elsewhere(path) if files.dropped(path)

elsewhere(path) if {
	some directory in ["/home/", "/root/", "/var/lib/", "/var/www/", "/srv/", "/run/", "/mnt/", "/media/"]
	startswith(path, directory)
	not container_layer(path)
}

# Layers of container images hold whole systems, and are seen from the host with this path.
container_layer(path) if {
	some part in ["/containers/storage/", "/docker/overlay2/", "/containerd/", "/lxc/", "/machines/", "/flatpak/", "/snapd/"]
	contains(path, part)
}

hidden(path) if contains(path, "/.../")

hidden(path) if contains(path, "/ /")

hidden(path) if contains(path, "/.. /")

hidden(path) if {
	contains(path, "/.")
	some directory in ["/tmp/", "/var/tmp/", "/dev/shm/", "/usr/", "/etc/", "/var/spool/", "/var/log/", "/var/www/", "/bin/", "/sbin/", "/lib/"]
	startswith(path, directory)
}
