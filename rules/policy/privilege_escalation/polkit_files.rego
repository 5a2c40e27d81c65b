# METADATA
# title: Rules of polkit and D-Bus
# description: Who may ask privileged services for what, changed by something that installs no packages.
package sentinel.polkit_files

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.editors

rights := ["/etc/polkit-1/", "/usr/share/polkit-1/", "/var/lib/polkit-1/", "/etc/dbus-1/system.d/", "/usr/share/dbus-1/system.d/", "/usr/share/dbus-1/system-services/", "/etc/doas.conf", "/etc/security/"]

# METADATA
# title: Network service writes a rule of polkit
# description: A server is made to give itself rights. The entry keeps this server from this file.
# custom:
#   id: polkit-write-by-network-service
#   severity: critical
#   mitre: [T1548, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, rights)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Rule of polkit, D-Bus or doas written
# description: By something other than a package manager or an editor. Configuration management does so too.
# custom:
#   id: polkit-write
#   severity: high
#   mitre: [T1548]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, rights)
	files.name(path) != "opasswd"
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, editors | {"pam-auth-update", "authselect", "snapd", "dbus-daemon"})
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes %s", [input.process.executable, path])
}
