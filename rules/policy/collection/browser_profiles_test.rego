package sentinel.browser_profiles_test

import data.sentinel.browser_profiles.alert
import data.sentinel.browser_profiles.deny
import data.sentinel.fixtures as fx

logins := "/home/ann/.mozilla/firefox/x.default/logins.json"

cookies := "/home/ann/.config/google-chrome/Default/Cookies"

test_python_reads_logins if {
	alert == {"/usr/bin/python3.11 opens /home/ann/.mozilla/firefox/x.default/logins.json"} with input as fx.open("/usr/bin/python3.11", logins)
}

test_sqlite_reads_cookies if {
	count(alert) == 1 with input as fx.open("/usr/bin/sqlite3", cookies)
}

test_encoder_is_denied if {
	count(deny) == 1 with input as fx.open("/usr/bin/base64", cookies)
	count(alert) == 0 with input as fx.open("/usr/bin/base64", cookies)
}

test_browsers_pass if {
	count(deny | alert) == 0 with input as fx.open("/usr/lib/firefox-esr/firefox-esr", logins)
	count(deny | alert) == 0 with input as fx.open("/opt/google/chrome/chrome", cookies)
	count(deny | alert) == 0 with input as fx.open("/app/bin/firefox", "/home/ann/.var/app/org.mozilla.firefox/key4.db")
}

test_dropped_browser if {
	count(alert) == 1 with input as fx.open("/tmp/chrome", cookies)
}

test_other_files_of_that_name_pass if {
	count(deny | alert) == 0 with input as fx.open("/usr/bin/cat", "/srv/app/logins.json")
}
