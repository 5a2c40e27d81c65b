# METADATA
# title: An ordinary day
# description: Events of installs, builds, log-ins and jobs. None may be denied; those that may not even alert are quiet.
package sentinel.benign_test

import data.sentinel.account_files
import data.sentinel.boot_files
import data.sentinel.browser_profiles
import data.sentinel.cloud_metadata
import data.sentinel.cluster_discovery
import data.sentinel.container_escape
import data.sentinel.container_shell
import data.sentinel.credential_files
import data.sentinel.cron_write
import data.sentinel.crypto_miner
import data.sentinel.database_dump
import data.sentinel.disk_wipe
import data.sentinel.dropped_program_egress
import data.sentinel.fileless_exec
import data.sentinel.fixtures as fx
import data.sentinel.history_tampering
import data.sentinel.hooks
import data.sentinel.impair_defenses
import data.sentinel.input_capture
import data.sentinel.kernel_helpers
import data.sentinel.kernel_modules
import data.sentinel.known_exploits
import data.sentinel.ld_preload
import data.sentinel.log_tampering
import data.sentinel.masquerading
import data.sentinel.memory_secrets
import data.sentinel.network_scan
import data.sentinel.password_attacks
import data.sentinel.password_stores
import data.sentinel.polkit_files
import data.sentinel.process_injection
import data.sentinel.ransom
import data.sentinel.remote_access
import data.sentinel.remote_shell
import data.sentinel.reverse_shell
import data.sentinel.security_settings
import data.sentinel.server_starts_tool
import data.sentinel.service_discovery
import data.sentinel.setuid_binary
import data.sentinel.shell_rc_files
import data.sentinel.ssh_authorized_keys
import data.sentinel.ssh_keys
import data.sentinel.ssh_server_config
import data.sentinel.system_binaries
import data.sentinel.systemd_unit_write
import data.sentinel.timestomp
import data.sentinel.tunnel_tools
import data.sentinel.unusual_port
import data.sentinel.upload
import data.sentinel.web_server_shell
import data.sentinel.web_shell
import data.sentinel.writable_dir_exec

dpkg := "/usr/bin/dpkg"

gcc := "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"

quiet_packages := {
	"apt runs dpkg": fx.exec("/usr/bin/apt-get", dpkg, ["dpkg", "--unpack", "/var/cache/apt/archives/nginx.deb"]),
	"apt asks a package's questions": fx.args(fx.under(fx.open("/usr/bin/perl", "/etc/shadow"), "/usr/bin/apt-get"), ["/usr/bin/perl", "-w", "/usr/sbin/dpkg-preconfigure", "--apt"]),
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
	"apt runs its hooks": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/touch", ["touch", "/var/lib/apt/periodic/update-success-stamp"]), "/usr/bin/dpkg"),
	"dpkg unpacks a library": fx.write(dpkg, "/usr/lib/x86_64-linux-gnu/libssl.so.3.dpkg-new"),
	"dpkg unpacks a kernel": fx.write(dpkg, "/boot/vmlinuz-6.12.48.dpkg-new"),
	"dpkg unpacks settings of apt": fx.write(dpkg, "/etc/apt/apt.conf.d/50unattended-upgrades.dpkg-new"),
	"postinst makes an initial RAM disk": fx.under(fx.write("/usr/bin/cpio", "/boot/initrd.img-6.12.48.new"), dpkg),
	"postinst writes the boot menu": fx.under(fx.write("/usr/bin/mv", "/boot/grub/grub.cfg"), dpkg),
	"ldconfig renews its cache": fx.write("/usr/sbin/ldconfig", "/etc/ld.so.cache~"),
	"unattended-upgrades runs dpkg": fx.exec("/usr/bin/python3.11", dpkg, ["/usr/bin/dpkg", "--status-fd", "10", "--configure", "-a"]),
}

quiet_builds := {
	"make runs gcc": fx.exec("/usr/bin/make", "/usr/bin/x86_64-linux-gnu-gcc-12", ["gcc", "-c", "a.c"]),
	"gcc writes an object": fx.write("/usr/bin/x86_64-linux-gnu-as", "/tmp/ccXyZ.o"),
	"gcc reads a header": fx.open(gcc, "/usr/include/stdio.h"),
	"make runs a shell": fx.exec("/usr/bin/make", "/usr/bin/dash", ["/bin/sh", "-c", "test -f config.h || ./configure"]),
	"cargo runs a build script": fx.exec("/usr/bin/cargo", "/home/ann/shop/target/debug/build/x/build-script-build", ["build-script-build"]),
	"git fetches over ssh": fx.exec("/usr/bin/git", "/usr/bin/ssh", ["ssh", "git@example.com", "git-upload-pack 'shop.git'"]),
	"rustc writes a library": fx.write("/home/ann/.rustup/toolchains/stable/bin/rustc", "/home/ann/shop/target/debug/deps/libshop.rlib"),
	"cargo runs rustc": fx.exec("/home/ann/.cargo/bin/cargo", "/home/ann/.rustup/toolchains/stable/bin/rustc", ["rustc", "--crate-name", "shop"]),
	"cargo fetches an index": fx.connect("/home/ann/.rustup/toolchains/stable/bin/cargo", "203.0.113.44", 443),
	"cc runs the linker": fx.exec("/usr/bin/x86_64-linux-gnu-gcc-12", "/usr/bin/x86_64-linux-gnu-ld.bfd", ["ld", "-o", "shop"]),
	"npm runs a script": fx.exec("/usr/bin/node", "/usr/bin/dash", ["sh", "-c", "webpack --mode production"]),
	"pip installs into a virtual environment": fx.args(fx.write("/home/ann/venv/bin/python3", "/home/ann/venv/lib/python3.11/site-packages/x.pth"), ["/home/ann/venv/bin/python3", "-m", "pip", "install", "x"]),
	"python caches byte code": fx.write("/usr/bin/python3.11", "/usr/lib64/python3.11/__pycache__/os.cpython-311.pyc"),
	"logrotate makes a new log": fx.write("/usr/sbin/logrotate", "/var/log/nginx/access.log"),
	"a test suite listens": fx.connect("/home/ann/shop/target/debug/deps/shop-1a2b", "127.0.0.1", 9050),
}

quiet_servers := {
	"nginx talks to its upstream": fx.connect("/usr/sbin/nginx", "10.0.0.7", 8080),
	"nginx reads a page": fx.open("/usr/sbin/nginx", "/var/www/html/index.html"),
	"redis saves": fx.write("/usr/bin/redis-server", "/var/lib/redis/temp-12.rdb"),
	"nginx writes its log": fx.write("/usr/sbin/nginx", "/var/log/nginx/access.log"),
	"nginx reloads": fx.exec("/usr/bin/bash", "/usr/sbin/nginx", ["nginx", "-s", "reload"]),
	"nginx keeps a body": fx.write("/usr/sbin/nginx", "/var/lib/nginx/body/0000000001"),
	"nginx asks the name server": fx.udp(fx.connect("/usr/sbin/nginx", "10.0.0.2", 53)),
	"php-fpm writes a session": fx.write("/usr/sbin/php-fpm8.2", "/var/lib/php/sessions/sess_8f2c"),
	"php-fpm writes a picture": fx.write("/usr/sbin/php-fpm8.2", "/var/www/html/wp-content/uploads/2026/11/a.jpg"),
	"php-fpm asks its database": fx.connect("/usr/sbin/php-fpm8.2", "10.0.0.9", 3306),
	"postgres writes its log of changes": fx.write("/usr/lib/postgresql/15/bin/postgres", "/var/lib/postgresql/15/main/pg_wal/000000010000000000000002"),
	"mysqld writes a table": fx.write("/usr/sbin/mysqld", "/var/lib/mysql/shop/orders.ibd"),
}

quiet_containers := {
	"runc starts a container": fx.exec("/usr/bin/runc", "/memfd:runc_cloned:/proc/self/exe (deleted)", ["runc", "init"]),
	"dockerd pulls an image": fx.connect("/usr/bin/dockerd", "203.0.113.60", 443),
	"dockerd unpacks a layer": fx.write("/usr/bin/dockerd", "/var/lib/docker/overlay2/ab12/diff/usr/bin/bash"),
	"dockerd sets up the firewall": fx.exec("/usr/bin/dockerd", "/usr/sbin/xtables-nft-multi", ["iptables", "-t", "nat", "-A", "DOCKER"]),
	"containerd starts a shim": fx.exec("/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", ["containerd-shim-runc-v2", "-namespace", "moby"]),
	"a container asks its database": fx.in_container(fx.connect("/usr/local/bin/app", "10.0.0.9", 5432)),
	"a container reads its token": fx.in_container(fx.open("/usr/local/bin/app", "/run/secrets/kubernetes.io/serviceaccount/token")),
	"kubelet starts a probe": fx.in_container(fx.exec("/usr/local/bin/app", "/bin/busybox", ["wget", "-q", "-O-", "http://127.0.0.1/healthz"])),
	"the API server asks a kubelet": fx.connect("/usr/local/bin/kube-apiserver", "10.0.0.4", 10250),
	"a container starts its program": fx.in_container(fx.exec("/memfd:runc_cloned:/proc/self/exe (deleted)", "/usr/sbin/nginx", ["nginx"])),
	"a container checks its health": fx.in_container(fx.connect("/usr/bin/bash", "127.0.0.1", 8080)),
}

quiet_services := {
	"cron runs a job": fx.exec("/usr/sbin/cron", "/usr/bin/dash", ["/bin/sh", "-c", "cd / && run-parts --report /etc/cron.hourly"]),
	"cron reads its table": fx.open("/usr/sbin/cron", "/etc/crontab"),
	"logrotate moves a log": fx.exec("/usr/sbin/logrotate", "/usr/bin/gzip", ["gzip"]),
	"systemd starts a service": fx.exec("/usr/lib/systemd/systemd", "/usr/sbin/nginx", ["nginx"]),
	"udev loads a module": fx.exec("/usr/lib/systemd/systemd-udevd", "/usr/bin/kmod", ["/sbin/modprobe", "-q", "ext4"]),
	"the message of the day asks for the load": fx.exec("/usr/bin/dash", "/usr/bin/uname", ["uname", "-r"]),
	"systemd writes a control group": fx.write("/usr/lib/systemd/systemd", "/sys/fs/cgroup/system.slice/nginx.service/cgroup.procs"),
	"systemd sets kernel settings": fx.write("/usr/lib/systemd/systemd-sysctl", "/proc/sys/kernel/kptr_restrict"),
	"systemd sets the core pattern": fx.write("/usr/lib/systemd/systemd-sysctl", "/proc/sys/kernel/core_pattern"),
	"logind reads the keyboard": fx.open("/usr/lib/systemd/systemd-logind", "/dev/input/event2"),
	"udev opens a disk": fx.write("/usr/lib/systemd/systemd-udevd", "/dev/sda"),
	"fsck checks a disk": fx.write("/usr/sbin/e2fsck", "/dev/sda1"),
	"timesyncd asks for the time": fx.udp(fx.connect("/usr/lib/systemd/systemd-timesyncd", "203.0.113.123", 123)),
	"resolved asks a name server": fx.udp(fx.connect("/usr/lib/systemd/systemd-resolved", "203.0.113.53", 53)),
	"cron starts a backup of the database": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/pg_dump", ["pg_dump", "-f", "/var/backups/shop.sql", "shop"]), "/usr/sbin/cron"),
	"cron renews certificates": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/python3.11", ["/usr/bin/python3", "/usr/bin/certbot", "-q", "renew"]), "/usr/sbin/cron"),
	"rsyslog writes": fx.write("/usr/sbin/rsyslogd", "/var/log/auth.log"),
}

quiet_people := {
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
	"ssh reads a key": fx.open("/usr/bin/ssh", "/home/ann/.ssh/id_ed25519"),
	"curl downloads": fx.connect("/usr/bin/curl", "203.0.113.80", 443),
	"sshd writes who logged in": fx.write("/usr/sbin/sshd", "/var/log/lastlog"),
	"pam updates the count of failures": fx.write("/usr/sbin/sshd", "/run/faillock/ann"),
	"a log-in shell reads its file": fx.open("/usr/bin/bash", "/home/ann/.bashrc"),
	"a log-in shell asks who it is": fx.exec("/usr/bin/bash", "/usr/bin/id", ["id", "-u"]),
	"an administrator copies a file": fx.exec("/usr/bin/bash", "/usr/bin/scp", ["scp", "-i", "/home/ann/.ssh/id_ed25519", "a.tar", "db-1:"]),
	"an administrator edits settings": fx.write("/usr/bin/vim.basic", "/etc/ssh/sshd_config"),
	"an administrator looks at a certificate": fx.exec("/usr/bin/bash", "/usr/bin/openssl", ["openssl", "x509", "-text"]),
	"a browser reads its passwords": fx.open("/usr/lib/firefox-esr/firefox-esr", "/home/ann/.mozilla/firefox/x/logins.json"),
}

# Things that deserve a look, and no refusal.
noticed := {
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
	"an administrator scans the network": fx.exec("/usr/bin/bash", "/usr/bin/nmap", ["nmap", "-sn", "10.0.0.0/24"]),
	"an administrator looks at packets": fx.exec("/usr/bin/bash", "/usr/bin/tcpdump", ["tcpdump", "-i", "eth0", "port", "53"]),
	"an administrator enters a container": data.sentinel.events.container_exec,
	"an administrator sets up a disk": fx.exec("/usr/bin/bash", "/usr/sbin/mkfs.ext4", ["mkfs.ext4", "/dev/vdb"]),
	"an administrator writes an image to a card": fx.write("/usr/bin/dd", "/dev/mmcblk0"),
	"an administrator removes a snapshot": fx.exec("/usr/bin/bash", "/usr/sbin/lvremove", ["lvremove", "vg/old"]),
	"configuration management writes settings": fx.write("/usr/bin/python3.11", "/etc/ssh/sshd_config"),
	"configuration management adds a source of packages": fx.write("/usr/bin/python3.11", "/etc/apt/sources.list.d/docker.list"),
	"configuration management sets a kernel setting": fx.write("/usr/bin/tee", "/proc/sys/kernel/perf_event_paranoid"),
	"make install": fx.write("/usr/bin/install", "/usr/local/bin/shop"),
	"an installer appends its path": fx.write("/tmp/rustup-init", "/home/ann/.profile"),
	"an installer in /tmp downloads": fx.connect("/tmp/rustup-init", "203.0.113.44", 443),
	"a content management system updates itself": fx.write("/usr/sbin/php-fpm8.2", "/var/www/html/wp-includes/version.php"),
	"a content management system fetches an update": fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/curl", ["curl", "-fsS", "https://example.com/update.zip"]),
	"a web application makes a thumbnail through a shell": fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/dash", ["sh", "-c", "convert a.png b.png"]),
	"a web hook deploys": fx.under(fx.exec("/usr/bin/dash", "/usr/bin/ssh", ["ssh", "web-2", "deploy"]), "/usr/sbin/apache2"),
	"a build of an image installs packages": fx.in_container(fx.exec("/usr/bin/dash", "/usr/bin/apt-get", ["apt-get", "install", "-y", "curl"])),
	"a profiler reads memory": fx.open("/usr/bin/python3.11", "/proc/812/mem"),
	"a backup reads a store of passwords": fx.open("/usr/bin/tar", "/home/ann/secrets.kdbx"),
	"a sandbox makes a user namespace": fx.exec("/usr/bin/bash", "/usr/bin/unshare", ["unshare", "-Ur", "true"]),
	"a help desk connects": fx.exec("/usr/lib/systemd/systemd", "/usr/bin/anydesk", ["anydesk", "--service"]),
	"a server was upgraded and goes on": fx.connect("/usr/sbin/nginx (deleted)", "203.0.113.7", 443),
}

denied := union({
	account_files.deny, browser_profiles.deny, cloud_metadata.deny, credential_files.deny, cron_write.deny, crypto_miner.deny,
	dropped_program_egress.deny, fileless_exec.deny, password_stores.deny, polkit_files.deny, reverse_shell.deny,
	security_settings.deny, server_starts_tool.deny, shell_rc_files.deny, ssh_authorized_keys.deny, ssh_keys.deny, system_binaries.deny,
	systemd_unit_write.deny, web_server_shell.deny, web_shell.deny,
})

alerted := union({
	account_files.alert, boot_files.alert, browser_profiles.alert, cloud_metadata.alert, cluster_discovery.alert, container_escape.alert,
	container_shell.alert, credential_files.alert, cron_write.alert, crypto_miner.alert, database_dump.alert, disk_wipe.alert,
	dropped_program_egress.alert, fileless_exec.alert, history_tampering.alert, hooks.alert, impair_defenses.alert, input_capture.alert,
	kernel_helpers.alert, kernel_modules.alert, known_exploits.alert, ld_preload.alert, log_tampering.alert, masquerading.alert,
	memory_secrets.alert, network_scan.alert, password_attacks.alert, password_stores.alert, polkit_files.alert, process_injection.alert,
	ransom.alert, remote_access.alert, remote_shell.alert, reverse_shell.alert, security_settings.alert, server_starts_tool.alert,
	service_discovery.alert, setuid_binary.alert, shell_rc_files.alert, ssh_authorized_keys.alert, ssh_keys.alert, ssh_server_config.alert,
	system_binaries.alert, systemd_unit_write.alert, timestomp.alert, tunnel_tools.alert, unusual_port.alert, upload.alert,
	web_server_shell.alert, web_shell.alert, writable_dir_exec.alert,
})

test_nothing_benign_is_denied if {
	every event in noticed {
		count(denied) == 0 with input as event
	}
}

silent(events) if {
	every event in events {
		count(denied | alerted) == 0 with input as event
	}
}

test_quiet_packages if silent(quiet_packages)

test_quiet_builds if silent(quiet_builds)

test_quiet_servers if silent(quiet_servers)

test_quiet_containers if silent(quiet_containers)

test_quiet_services if silent(quiet_services)

test_quiet_people if silent(quiet_people)

# The unions above see what they are meant to see.
test_the_unions_are_not_blind if {
	count(denied) == 1 with input as fx.connect("/usr/bin/bash", "203.0.113.7", 4444)
	count(alerted) == 1 with input as fx.open("/usr/bin/cat", "/etc/shadow")
}
