# METADATA
# title: System programs and libraries
# description: Files that packages own, changed by something that installs no packages.
package sentinel.system_binaries

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager

system_files := ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/", "/usr/lib64/", "/lib64/", "/lib/x86_64-linux-gnu/"]

# Caches, alternatives and byte code that belong to no package.
caretakers := {"ldconfig", "ldconfig.real", "update-alternatives", "alternatives", "prelink", "systemd", "fc-cache", "gtk-update-icon-cache", "gdk-pixbuf-query-loaders", "gio-querymodules", "glib-compile-schemas", "snapd"}

# METADATA
# title: Network service writes a system program
# description: A server is made to replace a program or a library. The entry keeps this server from this file.
# custom:
#   id: system-binary-write-by-network-service
#   severity: critical
#   mitre: [T1554, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, system_files)
	programs.is_network_service(input.process.executable)
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: System program or library written
# description: By something other than a package manager. Installers that copy into /usr/bin do so too; /usr/local is left out.
# custom:
#   id: system-binary-write
#   severity: high
#   mitre: [T1554, T1036.005]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, system_files)
	not files.extension(path) in {"pyc", "cache"}
	not programs.is_network_service(input.process.executable)
	not programs.expected(input.process, caretakers)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Program for the whole system installed by hand
# description: Something outside a package manager makes a program in /usr/local/bin or /usr/local/sbin, which come first on PATH.
# custom:
#   id: local-binary-write
#   severity: info
#   mitre: [T1554]
#   maturity: noisy
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link"}
	input.file.create
	files.below(input.file.path, ["/usr/local/bin/", "/usr/local/sbin/"])
	not by_package_manager
	not by_container_runtime
	msg := sprintf("%s makes %s", [input.process.executable, input.file.path])
}
