package sentinel.service_discovery_test

import data.sentinel.fixtures as fx
import data.sentinel.service_discovery.alert

test_id_by_a_web_server if {
	alert == {"discovery below a server: id"} with input as fx.exec("/usr/sbin/apache2", "/usr/bin/id", ["id"])
}

test_uname_through_a_shell if {
	count(alert) == 1 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/uname", ["uname", "-a"]), "/usr/sbin/php-fpm8.2")
}

test_busybox_applet if {
	count(alert) == 1 with input as fx.under(fx.exec("/bin/busybox", "/bin/busybox", ["whoami"]), "/usr/bin/redis-server")
}

test_id_in_a_terminal if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/id", ["id"])
}

test_work_of_an_application if {
	count(alert) == 0 with input as fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/convert", ["convert", "a.png", "b.jpg"])
}

test_scout_script if {
	count(alert) == 1 with input as fx.script("/usr/bin/bash", "/usr/bin/dash", "/tmp/LinPEAS.sh")
}

test_other_script if {
	count(alert) == 0 with input as data.sentinel.events.exec_script
}
