# METADATA
# title: Which program is this
# description: Names and families of programs. Detection lists match names, since an attacker chooses where a tool lies; lists of expected programs match only below the system directories, which need root to write.
package sentinel.lib.programs

# Binaries that decide by their first argument which program they are.
multicall := {"busybox", "busybox.static", "toybox", "coreutils", "kmod"}

shells := {"sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "fish", "tcsh", "csh", "rbash", "yash"}

netcats := {"nc", "ncat", "netcat", "nc.traditional", "nc.openbsd"}

# Tools that carry a file off the host or encode it for that purpose.
transfer_tools := {"curl", "wget", "socat", "base64", "xxd", "nc", "ncat", "netcat", "nc.traditional", "nc.openbsd"}

web_servers := {"nginx", "apache2", "httpd", "lighttpd", "caddy", "haproxy", "envoy", "traefik", "uwsgi", "varnishd"}

# These answer the network and never have a reason to write start-up files or keys (file servers do: users keep both there).
network_services := web_servers | {
	"redis-server", "valkey-server", "memcached",
	"mysqld", "mariadbd", "postgres", "mongod",
	"named", "unbound", "dnsmasq",
}

# Unpackers only: a front end such as apt can be made to start a shell, so it excuses nothing.
package_managers := {"dpkg", "rpm", "apk", "pacman", "dnf5", "microdnf", "zypper", "rpm-ostree", "snapd", "opkg"}

# The same, where the package manager is a Python script.
package_manager_scripts := {"/usr/bin/dnf", "/usr/bin/dnf-3", "/usr/bin/yum", "/usr/libexec/platform-python"}

container_runtimes := {"runc", "crun", "containerd", "containerd-shim-runc-v2", "dockerd", "podman", "conmon", "crio", "lxc-start", "lxc-attach"}

# People change files with these, and only people do.
editors := {"vi", "vim", "vim.basic", "vim.tiny", "vim.nox", "vim.gtk3", "nvim", "nano", "emacs", "emacs-nox", "joe", "mcedit", "micro", "hx", "ed"}

interpreters := ["python", "perl", "ruby", "php", "lua", "node"]

system_directories := ["/usr/", "/bin/", "/sbin/", "/lib", "/nix/store/", "/snap/"]

# base("/usr/bin/bash (deleted)") is "bash": the kernel marks a program whose file was replaced, as an upgrade does.
base(path) := parts[count(parts) - 1] if {
	parts := split(trim_suffix(path, " (deleted)"), "/")
}

# The name a process goes by: its executable, or the applet of a multi-call binary.
name(process) := own if {
	own := base(process.executable)
	not own in multicall
} else := applet if {
	applet := base(trim_prefix(process.args[0], "-"))
	not applet in multicall
} else := applet if {
	applet := base(process.args[1])
} else := base(process.executable)

is_shell(process) if name(process) in shells

is_interpreter(path) if {
	some prefix in interpreters
	startswith(base(path), prefix)
}

# PHP behind a web server; packages carry the version in the file name (php-fpm8.2). Scripts on the command line are not meant.
is_php(path) if startswith(base(path), "php-fpm")

is_php(path) if startswith(base(path), "php-cgi")

is_network_service(path) if base(path) in network_services

is_network_service(path) if is_php(path)

installed(path) if {
	some directory in system_directories
	startswith(path, directory)
}

# A program of one of these names that lies where only root can put it.
expected(process, names) if {
	name(process) in names
	installed(process.executable)
}

# The event belongs to the unpacking or configuring of a package.
by_package_manager if expected(input.process, package_managers)

by_package_manager if {
	some ancestor in input.process.ancestors
	base(ancestor.executable) in package_managers
	installed(ancestor.executable)
}

by_package_manager if runs_package_script(input.process)

by_package_manager if runs_package_script(input.process.parent)

runs_package_script(process) if {
	startswith(base(process.executable), "p")
	installed(process.executable)
	process.args[1] in package_manager_scripts
}

# What apt runs to ask a package's questions before unpacking it. The switch is part of the script's first line; with `-e` in its
# place perl would run something else.
runs_package_script(process) if {
	base(process.executable) == "perl"
	installed(process.executable)
	array.slice(process.args, 1, 3) == ["-w", "/usr/sbin/dpkg-preconfigure"]
}

# A server started this, directly or through a shell.
by_network_service if is_network_service(input.process.previous.executable)

by_network_service if {
	some ancestor in input.process.ancestors
	is_network_service(ancestor.executable)
}

by_container_runtime if expected(input.process, container_runtimes)

# Arguments as one string. They are read from user memory: good for an alert, never the only ground of a block.
command_line := concat(" ", input.process.args)
