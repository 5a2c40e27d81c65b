package sentinel.password_stores_test

import data.sentinel.fixtures as fx
import data.sentinel.password_stores.alert
import data.sentinel.password_stores.deny

store := "/home/ann/secrets.kdbx"

test_python_reads_a_store if {
	alert == {"/usr/bin/python3.11 opens the password store /home/ann/secrets.kdbx"} with input as fx.open("/usr/bin/python3.11", store)
	count(alert) == 1 with input as fx.open("/usr/bin/cp", "/home/ann/.local/share/keyrings/login.keyring")
}

test_encoder_is_denied if {
	count(deny) == 1 with input as fx.open("/usr/bin/base64", store)
	count(alert) == 0 with input as fx.open("/usr/bin/base64", store)
}

test_its_own_program_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/keepassxc", store)
}

test_tickets if {
	count(alert) == 1 with input as fx.open("/usr/bin/cp", "/tmp/krb5cc_1000")
	count(alert) == 1 with input as fx.open("/usr/bin/bash", "/tmp/krb5cc_1000")
	count(alert) == 0 with input as fx.open("/usr/bin/klist", "/tmp/krb5cc_1000")
}

test_other_files_pass if {
	count(deny | alert) == 0 with input as data.sentinel.events.open
}
