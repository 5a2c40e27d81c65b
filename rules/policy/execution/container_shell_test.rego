package sentinel.container_shell_test

import data.sentinel.container_shell.alert
import data.sentinel.fixtures as fx

test_shell_entered if {
	alert == {"shell in container 3f4e9c1b7a52: bash"} with input as data.sentinel.events.container_exec
	count(alert) == 1 with input as fx.in_container(fx.exec("/memfd:runc_cloned:/proc/self/exe (deleted)", "/usr/bin/dash", ["sh"]))
}

test_script_of_the_application if {
	count(alert) == 0 with input as fx.in_container(fx.exec("/usr/bin/python3.11", "/usr/bin/dash", ["sh", "-c", "date"]))
}

test_application_starts if {
	count(alert) == 0 with input as fx.in_container(fx.exec("/usr/bin/runc", "/usr/sbin/nginx", ["nginx"]))
}

test_installation if {
	count(alert) == 1 with input as fx.in_container(fx.exec("/usr/bin/dash", "/usr/bin/apt-get", ["apt-get", "install", "-y", "curl"]))
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/bin/apt-get", ["apt-get", "install", "-y", "curl"])
	count(alert) == 0 with input as fx.in_container(fx.exec("/usr/bin/dash", "/usr/bin/apt-get", ["apt-get", "update"]))
}

test_dropped_program if {
	count(alert) == 1 with input as fx.in_container(fx.exec("/usr/bin/dash", "/tmp/x", ["x"]))
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/tmp/x", ["x"])
}
