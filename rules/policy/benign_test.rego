# METADATA
# title: An ordinary day
# description: Events of installs, builds, log-ins and jobs. None may be denied; those that may not even alert are marked quiet.
package sentinel.benign_test

import data.sentinel.account_files
import data.sentinel.cloud_metadata
import data.sentinel.container_escape
import data.sentinel.credential_files
import data.sentinel.cron_write
import data.sentinel.crypto_miner
import data.sentinel.fileless_exec
import data.sentinel.fixtures as fx
import data.sentinel.history_tampering
import data.sentinel.impair_defenses
import data.sentinel.kernel_modules
import data.sentinel.ld_preload
import data.sentinel.log_tampering
import data.sentinel.process_injection
import data.sentinel.reverse_shell
import data.sentinel.setuid_binary
import data.sentinel.ssh_authorized_keys
import data.sentinel.ssh_keys
import data.sentinel.systemd_unit_write
import data.sentinel.tunnel_tools
import data.sentinel.web_server_shell
import data.sentinel.writable_dir_exec

dpkg := "/usr/bin/dpkg"

gcc := "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"

quiet := {
	"apt runs dpkg": fx.exec("/usr/bin/apt-get", dpkg, ["dpkg", "--unpack", "/var/cache/apt/archives/nginx.deb"]),
	"apt downloads": fx.connect("/usr/lib/apt/methods/http", "151.101.2.132", 80),
	"apt looks up a name": fx.udp(fx.connect("/usr/lib/apt/methods/http", "10.0.0.2", 53)),
	"dpkg unpacks a program": fx.write(dpkg, "/usr/sbin/nginx.dpkg-new"),
	"dpkg unpacks a unit": fx.write(dpkg, "/usr/lib/systemd/system/nginx.service.dpkg-new"),
	"dpkg unpacks a job": fx.write(dpkg, "/etc/cron.d/certbot.dpkg-new"),
	"dpkg runs a script": fx.script(dpkg, "/usr/bin/dash", "/var/lib/dpkg/info/nginx.postinst"),
	"postinst adds a user": fx.under(fx.write("/usr/sbin/useradd", "/etc/passwd"), dpkg),
	"postinst looks up a user": fx.under(fx.open("/usr/bin/perl", "/etc/shadow"), dpkg),
	"postinst enables a service": fx.under(fx.write("/usr/bin/perl", "/etc/systemd/system/multi-user.target.wants/nginx.service"), dpkg),
	"postinst restarts a service": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/systemctl", ["systemctl", "restart", "nginx"]), dpkg),
	"postinst rebuilds the initramfs": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/kmod", ["modprobe", "--show-depends", "ext4"]), dpkg),
	"make runs gcc": fx.exec("/usr/bin/make", "/usr/bin/x86_64-linux-gnu-gcc-12", ["gcc", "-c", "a.c"]),
	"gcc writes an object": fx.write("/usr/bin/x86_64-linux-gnu-as", "/tmp/ccXyZ.o"),
	"gcc reads a header": fx.open(gcc, "/usr/include/stdio.h"),
	"make runs a shell": fx.exec("/usr/bin/make", "/usr/bin/dash", ["/bin/sh", "-c", "test -f config.h || ./configure"]),
	"cargo runs a build script": fx.exec("/usr/bin/cargo", "/home/ann/shop/target/debug/build/x/build-script-build", ["build-script-build"]),
	"sshd starts for a log-in": fx.exec("/usr/sbin/sshd", "/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-R"]),
	"sshd checks a password": fx.open("/usr/sbin/sshd", "/etc/shadow"),
	"sshd reads its key": fx.open("/usr/sbin/sshd", "/etc/ssh/ssh_host_ed25519_key"),
	"sshd reads authorized keys": fx.open("/usr/sbin/sshd", "/home/ann/.ssh/authorized_keys"),
	"sshd records a log-in": fx.write("/usr/sbin/sshd", "/var/log/wtmp"),
	"sshd starts a log-in shell": fx.exec("/usr/sbin/sshd", "/usr/bin/bash", ["-bash"]),
	"bash reads its profile": fx.open("/usr/bin/bash", "/etc/profile"),
	"bash writes its history": fx.write("/usr/bin/bash", "/home/ann/.bash_history"),
	"a program looks for preloads": fx.open("/usr/bin/ls", "/etc/ld.so.preload"),
	"sudo checks a password": fx.open("/usr/sbin/unix_chkpwd", "/etc/shadow"),
	"sudo reads its rules": fx.open("/usr/bin/sudo", "/etc/sudoers"),
	"cron runs a job": fx.exec("/usr/sbin/cron", "/usr/bin/dash", ["/bin/sh", "-c", "cd / && run-parts --report /etc/cron.hourly"]),
	"cron reads its table": fx.open("/usr/sbin/cron", "/etc/crontab"),
	"logrotate moves a log": fx.exec("/usr/sbin/logrotate", "/usr/bin/gzip", ["gzip"]),
	"systemd starts a service": fx.exec("/usr/lib/systemd/systemd", "/usr/sbin/nginx", ["nginx"]),
	"udev loads a module": fx.exec("/usr/lib/systemd/systemd-udevd", "/usr/bin/kmod", ["/sbin/modprobe", "-q", "ext4"]),
	"nginx talks to its upstream": fx.connect("/usr/sbin/nginx", "10.0.0.7", 8080),
	"nginx reads a page": fx.open("/usr/sbin/nginx", "/var/www/html/index.html"),
	"redis saves": fx.write("/usr/bin/redis-server", "/var/lib/redis/temp-12.rdb"),
	"git fetches over ssh": fx.exec("/usr/bin/git", "/usr/bin/ssh", ["ssh", "git@example.com", "git-upload-pack 'shop.git'"]),
	"ssh reads a key": fx.open("/usr/bin/ssh", "/home/ann/.ssh/id_ed25519"),
	"curl downloads": fx.connect("/usr/bin/curl", "203.0.113.80", 443),
	"runc starts a container": fx.exec("/usr/bin/runc", "/memfd:runc_cloned:/proc/self/exe (deleted)", ["runc", "init"]),
	"a container starts its program": fx.in_container(fx.exec("/memfd:runc_cloned:/proc/self/exe (deleted)", "/usr/sbin/nginx", ["nginx"])),
	"a container checks its health": fx.in_container(fx.connect("/usr/bin/bash", "127.0.0.1", 8080)),
}

events := object.union(quiet, {
	"root reads the password file": fx.open("/usr/bin/cat", "/etc/shadow"),
	"an administrator edits a unit": fx.write("/usr/bin/vim.basic", "/etc/systemd/system/shop.service"),
	"configuration management writes a job": fx.write("/usr/bin/python3.11", "/etc/cron.d/backup"),
	"ssh-copy-id adds a key": fx.write("/usr/bin/dash", "/home/ann/.ssh/authorized_keys"),
	"a backup reads everything": fx.open("/usr/bin/restic", "/etc/shadow"),
	"a build runs what it built": fx.exec("/usr/bin/make", "/tmp/build/conftest", ["./conftest"]),
	"debconf runs a package's questions": fx.script("/usr/bin/perl", "/usr/bin/dash", "/tmp/openssh-server.config.a1B2c3"),
	"a script waits for a database": fx.connect("/usr/bin/bash", "10.0.3.9", 5432),
	"apache runs a CGI script": fx.script("/usr/sbin/apache2", "/usr/bin/dash", "/usr/lib/cgi-bin/status.sh"),
	"PHP sends mail": fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/dash", ["sh", "-c", "/usr/sbin/sendmail -t -i"]),
	"mysql copies itself to a new replica": fx.exec("/usr/sbin/mariadbd", "/usr/bin/dash", ["sh", "-c", "wsrep_sst_rsync --role donor"]),
	"a boot script asks for its instance id": fx.connect("/usr/bin/curl", "169.254.169.254", 80),
	"an administrator loads a module": fx.exec("/usr/bin/bash", "/usr/bin/kmod", ["modprobe", "dummy"]),
	"a developer attaches a debugger": fx.exec("/usr/bin/bash", "/usr/bin/gdb", ["gdb", "-p", "812"]),
	"someone reads about stratum": fx.exec("/usr/bin/bash", "/usr/bin/grep", ["grep", "stratum+tcp://", "notes.txt"]),
})

denied := union({
	account_files.deny, cloud_metadata.deny, credential_files.deny, cron_write.deny, crypto_miner.deny, fileless_exec.deny,
	reverse_shell.deny, ssh_authorized_keys.deny, ssh_keys.deny, systemd_unit_write.deny, web_server_shell.deny,
})

alerted := union({
	account_files.alert, cloud_metadata.alert, container_escape.alert, credential_files.alert, cron_write.alert, crypto_miner.alert,
	fileless_exec.alert, history_tampering.alert, impair_defenses.alert, kernel_modules.alert, ld_preload.alert, log_tampering.alert,
	process_injection.alert, reverse_shell.alert, setuid_binary.alert, ssh_authorized_keys.alert, ssh_keys.alert, systemd_unit_write.alert,
	tunnel_tools.alert, web_server_shell.alert, writable_dir_exec.alert,
})

test_nothing_benign_is_denied if {
	every event in events {
		count(denied) == 0 with input as event
	}
}

test_nothing_quiet_alerts if {
	every event in quiet {
		count(alerted) == 0 with input as event
	}
}

# The unions above see what they are meant to see.
test_the_unions_are_not_blind if {
	count(denied) == 1 with input as fx.connect("/usr/bin/bash", "203.0.113.7", 4444)
	count(alerted) == 1 with input as fx.open("/usr/bin/cat", "/etc/shadow")
}
