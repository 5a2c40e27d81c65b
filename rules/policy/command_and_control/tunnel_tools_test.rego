package sentinel.tunnel_tools_test

import data.sentinel.fixtures as fx
import data.sentinel.tunnel_tools.alert

test_tunnel_tool if {
	alert == {"tunnel tool started: chisel client 203.0.113.7 R:socks"} with input as fx.exec("/usr/bin/bash", "/home/ann/chisel", ["chisel", "client", "203.0.113.7", "R:socks"])
}

test_reverse_forward if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/ssh", ["ssh", "-fNR", "8080:localhost:80", "host"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/ssh", ["ssh", "-D1080", "host"])
}

test_ordinary_ssh if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/ssh", ["ssh", "-i", "/home/ann/.ssh/id_rsa", "host", "uptime"])
}

test_other_program if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "-R", "https://example.com"])
}
