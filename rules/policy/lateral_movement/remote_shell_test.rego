package sentinel.remote_shell_test

import data.sentinel.fixtures as fx
import data.sentinel.remote_shell.alert

test_ssh_below_a_web_server if {
	alert == {"remote shell below a server: ssh root@10.0.0.9"} with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/ssh", ["ssh", "root@10.0.0.9"]), "/usr/sbin/apache2")
}

test_ssh_in_a_terminal if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/ssh", ["ssh", "host"])
}

test_collection_of_tools if {
	count(alert) == 1 with input as fx.script("/usr/bin/bash", "/usr/bin/python3.11", "/opt/impacket/psexec.py")
}

test_other_python_script if {
	count(alert) == 0 with input as fx.script("/usr/bin/bash", "/usr/bin/python3.11", "/opt/shop/manage.py")
}

test_password_in_the_arguments if {
	alert == {"/usr/bin/bash starts sshpass with a password among its arguments"} with input as fx.exec("/usr/bin/bash", "/usr/bin/sshpass", ["sshpass", "-psecret", "ssh", "host"])
}

test_password_in_a_file if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/sshpass", ["sshpass", "-f", "/run/secret", "ssh", "host"])
}

test_container_speaks_ssh if {
	count(alert) == 1 with input as fx.in_container(fx.connect("/usr/bin/python3.11", "10.0.0.9", 22))
}

test_host_speaks_ssh if {
	count(alert) == 0 with input as fx.connect("/usr/bin/ssh", "10.0.0.9", 22)
}

test_container_fetches_from_a_public_host if {
	count(alert) == 0 with input as fx.in_container(fx.connect("/usr/bin/ssh", "203.0.113.22", 22))
}
