# METADATA
# title: Services and start-up files
# description: systemd units, init scripts and log-in scripts, changed by something that does not manage them.
package sentinel.systemd_unit_write

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager

startup_files := [
	"/etc/systemd/", "/usr/lib/systemd/", "/lib/systemd/", "/usr/local/lib/systemd/", "/run/systemd/system/",
	"/etc/init.d/", "/etc/rc", "/etc/profile", "/etc/xdg/autostart/", "/etc/udev/rules.d/", "/etc/update-motd.d/",
]

service_managers := {"systemd", "systemd-executor", "systemctl", "systemd-sysv-install", "update-rc.d", "chkconfig", "rc-update", "udevadm"}

# METADATA
# title: Network service writes a start-up file
# description: A server is made to save a service of its own. The entry keeps this server from this file.
# custom:
#   id: startup-write-by-network-service
#   severity: critical
#   mitre: [T1543.002, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	startup_file(path)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes the start-up file %s", [input.process.executable, path])
}

# METADATA
# title: Start-up file written
# description: Someone other than a package manager or systemd writes a unit or a start-up script. Configuration management does so too.
# custom:
#   id: systemd-unit-write
#   severity: medium
#   mitre: [T1543.002, T1037, T1546.004]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	startup_file(path)
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, service_managers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes the start-up file %s", [input.process.executable, path])
}

startup_file(path) if files.below(path, startup_files)

startup_file(path) if contains(path, "/.config/systemd/user/")
