package sentinel.lib_test

import data.sentinel.fixtures as fx
import data.sentinel.lib.files
import data.sentinel.lib.net
import data.sentinel.lib.programs

test_base_drops_directory_and_deleted_mark if {
	programs.base("/usr/bin/bash") == "bash"
	programs.base("/usr/sbin/sshd (deleted)") == "sshd"
}

test_name_of_a_multicall_binary_is_its_applet if {
	programs.name({"executable": "/bin/busybox", "args": ["busybox", "sh", "-c", "id"]}) == "sh"
	programs.name({"executable": "/bin/busybox", "args": ["-ash"]}) == "ash"
	programs.name({"executable": "/usr/bin/kmod", "args": ["/sbin/insmod", "x.ko"]}) == "insmod"
}

test_name_without_arguments_is_the_executable if {
	programs.name({"executable": "/bin/busybox"}) == "busybox"
	programs.name({"executable": "/usr/bin/id"}) == "id"
}

test_expected_needs_name_and_place if {
	programs.expected({"executable": "/usr/bin/ssh"}, {"ssh"})
	not programs.expected({"executable": "/tmp/ssh"}, {"ssh"})
	not programs.expected({"executable": "/usr/bin/cat"}, {"ssh"})
}

test_package_manager_itself if {
	programs.by_package_manager with input as fx.write("/usr/bin/dpkg", "/etc/cron.d/php.dpkg-new")
}

test_package_manager_as_ancestor if {
	programs.by_package_manager with input as fx.under(fx.open("/usr/bin/perl", "/etc/shadow"), "/usr/bin/dpkg")
}

test_package_manager_as_python_script if {
	programs.by_package_manager with input as fx.started_by(fx.open("/usr/sbin/useradd", "/etc/shadow"), "/usr/bin/python3.9", ["/usr/bin/python3.9", "/usr/bin/dnf", "install", "x"])
}

test_questions_of_packages if {
	asks := fx.open("/usr/bin/perl", "/etc/shadow")
	programs.by_package_manager with input as fx.args(asks, ["/usr/bin/perl", "-w", "/usr/sbin/dpkg-preconfigure", "--apt"])
	not programs.by_package_manager with input as fx.args(asks, ["/usr/bin/perl", "-e", "/usr/sbin/dpkg-preconfigure", "--apt"])
	not programs.by_package_manager with input as fx.args(asks, ["/usr/bin/perl", "-w", "/tmp/dpkg-preconfigure"])
	copied := fx.open("/tmp/perl", "/etc/shadow")
	not programs.by_package_manager with input as fx.args(copied, ["/tmp/perl", "-w", "/usr/sbin/dpkg-preconfigure"])
}

test_copy_of_a_package_manager_is_none if {
	not programs.by_package_manager with input as fx.under(fx.open("/usr/bin/cat", "/etc/shadow"), "/tmp/dpkg")
}

test_front_end_with_a_shell_escape_is_none if {
	not programs.by_package_manager with input as fx.under(fx.open("/usr/bin/cat", "/etc/shadow"), "/usr/bin/apt-get")
}

test_internal_addresses if {
	every ip in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1", "fd12::1", "fe80::1"] {
		net.internal(ip)
		not net.public(ip)
	}
}

test_public_addresses if {
	every ip in ["203.0.113.7", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "1.1.1.1"] {
		net.public(ip)
	}
}

test_unlinked_is_not_memfd if {
	files.unlinked("/opt/x (deleted)")
	not files.unlinked("/memfd:x (deleted)")
}
