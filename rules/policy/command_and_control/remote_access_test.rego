package sentinel.remote_access_test

import data.sentinel.fixtures as fx
import data.sentinel.remote_access.alert

test_shared_terminal if {
	alert == {"remote access tool started: tmate -F"} with input as fx.exec("/usr/bin/bash", "/usr/bin/tmate", ["tmate", "-F"])
}

test_tool_in_capitals if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/opt/AnyDesk", ["AnyDesk"])
}

test_framework_as_a_script if {
	count(alert) == 1 with input as fx.script("/usr/bin/bash", "/usr/bin/ruby3.1", "/opt/metasploit/msfconsole")
}

test_ssh_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/ssh", ["ssh", "host"])
}

test_terminal_multiplexer_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/tmux", ["tmux"])
}
