package sentinel.password_attacks_test

import data.sentinel.fixtures as fx
import data.sentinel.password_attacks.alert

test_cracker if {
	alert == {"password attack: john shadow.txt"} with input as fx.exec("/usr/bin/bash", "/usr/sbin/john", ["john", "shadow.txt"])
}

test_dumper_script if {
	count(alert) == 1 with input as fx.script("/usr/bin/bash", "/usr/bin/python3.11", "/tmp/laZagne.py")
}

test_sniffer if {
	alert == {"network sniffer started: tcpdump -i eth0"} with input as fx.exec("/usr/bin/bash", "/usr/bin/tcpdump", ["tcpdump", "-i", "eth0"])
}

test_sniffer_below_a_server if {
	alert == {"network sniffer below a server: tcpdump -w /tmp/x"} with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/tcpdump", ["tcpdump", "-w", "/tmp/x"]), "/usr/sbin/apache2")
}

test_other_program_passes if {
	count(alert) == 0 with input as data.sentinel.events.exec
}
