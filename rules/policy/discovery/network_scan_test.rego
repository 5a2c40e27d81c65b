package sentinel.network_scan_test

import data.sentinel.fixtures as fx
import data.sentinel.network_scan.alert

test_nmap if {
	alert == {"network scanner started: nmap -sS 10.0.0.0/24"} with input as fx.exec("/usr/bin/bash", "/usr/bin/nmap", ["nmap", "-sS", "10.0.0.0/24"])
}

test_copied_scanner if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/tmp/masscan", ["masscan"])
}

test_scanner_below_a_web_server if {
	alert == {"network scanner started below a server: fscan -h 10.0.0.1/16"} with input as fx.under(fx.exec("/usr/bin/dash", "/tmp/fscan", ["fscan", "-h", "10.0.0.1/16"]), "/usr/sbin/php-fpm8.2")
}

test_netcat_over_a_range if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/nc.openbsd", ["nc", "-zv", "10.0.0.5", "1-1024"])
}

test_netcat_on_one_port if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/nc.openbsd", ["nc", "-z", "db-1", "5432"])
}

test_other_program if {
	count(alert) == 0 with input as data.sentinel.events.exec
}
