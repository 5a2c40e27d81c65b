package sentinel.web_shell_test

import data.sentinel.fixtures as fx
import data.sentinel.web_shell.alert
import data.sentinel.web_shell.deny

test_nginx_writes_a_page if {
	deny == {"/usr/sbin/nginx writes the script /var/www/html/x.php"} with input as fx.write("/usr/sbin/nginx", "/var/www/html/x.php")
	count(alert) == 0 with input as fx.write("/usr/sbin/nginx", "/var/www/html/x.php")
}

test_database_writes_a_page if {
	count(alert) == 1 with input as fx.write("/usr/sbin/mysqld", "/var/www/html/x.php")
}

test_page_among_uploads if {
	count(alert) == 2 with input as fx.write("/usr/sbin/php-fpm8.2", "/var/www/html/wp-content/uploads/2026/x.PHP")
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/var/www/html/uploads/x.phtml")
}

test_picture_among_uploads if {
	count(deny | alert) == 0 with input as fx.write("/usr/sbin/php-fpm8.2", "/var/www/html/uploads/x.jpg")
}

test_nginx_caches_a_page if {
	count(deny | alert) == 0 with input as fx.write("/usr/sbin/nginx", "/var/cache/nginx/0/ab/c1f0")
}

test_deployment_passes if {
	count(deny | alert) == 0 with input as fx.write("/usr/bin/rsync", "/var/www/html/index.php")
}

test_reading_passes if {
	count(deny | alert) == 0 with input as fx.open("/usr/sbin/nginx", "/var/www/html/index.php")
}
