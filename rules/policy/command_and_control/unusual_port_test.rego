package sentinel.unusual_port_test

import data.sentinel.fixtures as fx
import data.sentinel.unusual_port.alert

test_python_to_a_control_port if {
	alert == {"/usr/bin/python3.11 connects to 203.0.113.7 port 31337"} with input as fx.connect("/usr/bin/python3.11", "203.0.113.7", 31337)
}

test_python_to_the_web if {
	count(alert) == 0 with input as fx.connect("/usr/bin/python3.11", "203.0.113.7", 443)
}

test_python_inside_the_network if {
	count(alert) == 0 with input as fx.connect("/usr/bin/python3.11", "10.0.0.7", 8888)
}

test_bot_on_chat if {
	count(alert) == 1 with input as fx.connect("/usr/sbin/kthreadd", "203.0.113.7", 6667)
}

test_chat_program_passes if {
	count(alert) == 0 with input as fx.connect("/usr/bin/irssi", "203.0.113.7", 6697)
}

test_tools_through_tor if {
	count(alert) == 1 with input as fx.connect("/usr/bin/curl", "127.0.0.1", 9050)
	count(alert) == 1 with input as fx.connect("/usr/bin/python3.11", "127.0.0.1", 9050)
	count(alert) == 1 with input as fx.connect("/usr/sbin/nginx", "127.0.0.1", 9050)
	count(alert) == 1 with input as fx.connect("/dev/shm/x", "127.0.0.1", 9050)
}

test_browser_through_tor if {
	count(alert) == 0 with input as fx.connect("/home/ann/tor-browser/firefox", "127.0.0.1", 9150)
}
