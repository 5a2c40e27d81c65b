package sentinel.crypto_miner_test

import data.sentinel.crypto_miner.alert
import data.sentinel.crypto_miner.deny
import data.sentinel.fixtures as fx

test_miner_by_name if {
	deny == {"miner /home/ann/xmrig started"} with input as fx.exec("/usr/bin/bash", "/home/ann/xmrig", ["./xmrig"])
}

test_miner_in_capitals if {
	count(deny) == 1 with input as fx.exec("/usr/bin/bash", "/opt/lolMiner", ["lolMiner"])
}

test_name_that_only_contains_a_miner if {
	count(deny) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/xmrig-exporter", ["xmrig-exporter"])
}

test_pool_by_name if {
	count(deny) == 0 with input as fx.domain(fx.connect("/usr/sbin/kworker", "203.0.113.9", 443), "gulf.moneroocean.stream")
	count(alert) == 1 with input as fx.domain(fx.connect("/usr/sbin/kworker", "203.0.113.9", 443), "gulf.moneroocean.stream")
}

test_domain_that_only_ends_like_a_pool if {
	count(alert) == 0 with input as fx.domain(fx.connect("/usr/bin/curl", "203.0.113.9", 443), "notnanopool.org")
}

test_look_up_of_a_pool if {
	count(alert) == 0 with input as fx.udp(fx.domain(fx.connect("/usr/bin/dig", "203.0.113.53", 53), "nanopool.org"))
}

test_renamed_miner_by_its_pool_argument if {
	count(deny) == 0 with input as fx.exec("/usr/bin/bash", "/usr/local/bin/nginx-helper", ["x", "-o", "stratum+tcp://203.0.113.9:3333"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/local/bin/nginx-helper", ["x", "-o", "stratum+tcp://203.0.113.9:3333"])
}

test_renamed_miner_by_its_options if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/opt/x", ["x", "--donate-level=1"])
}

test_dropped_program_on_a_pool_port if {
	alert == {"/tmp/x connects to 203.0.113.9 port 3333"} with input as fx.connect("/tmp/x", "203.0.113.9", 3333)
}

test_installed_program_on_a_pool_port if {
	alert == {"/usr/bin/x connects to 203.0.113.9 on the mining port 3333"} with input as fx.connect("/usr/bin/x", "203.0.113.9", 3333)
}

test_pool_port_inside_the_network if {
	count(alert) == 0 with input as fx.connect("/usr/bin/x", "10.0.0.9", 3333)
}

test_web_client_passes if {
	count(deny | alert) == 0 with input as fx.domain(fx.connect("/usr/bin/curl", "203.0.113.9", 443), "example.com")
}
