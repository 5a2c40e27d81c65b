package sentinel.input_capture_test

import data.sentinel.fixtures as fx
import data.sentinel.input_capture.alert

test_python_reads_the_keyboard if {
	alert == {"/usr/bin/python3.11 opens the input device /dev/input/event3"} with input as fx.open("/usr/bin/python3.11", "/dev/input/event3")
}

test_copied_display_server if {
	count(alert) == 1 with input as fx.open("/tmp/Xorg", "/dev/input/event3")
}

test_display_server_passes if {
	count(alert) == 0 with input as fx.open("/usr/lib/xorg/Xorg", "/dev/input/event3")
}

test_other_devices_pass if {
	count(alert) == 0 with input as fx.open("/usr/bin/python3.11", "/dev/urandom")
}

test_screenshot_by_a_server if {
	count(alert) == 1 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/scrot", ["scrot", "/tmp/x.png"]), "/usr/sbin/nginx")
}

test_screenshot_by_a_person if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/scrot", ["scrot"])
}
