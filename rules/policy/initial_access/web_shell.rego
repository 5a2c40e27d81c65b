# METADATA
# title: Web shells
# description: A script that appears below a web root is a page that runs commands.
package sentinel.web_shell

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs

# These pass requests on and never write a page.
proxies := {"nginx", "haproxy", "envoy", "traefik", "varnishd"}

script_extensions := {"php", "php5", "php7", "phtml", "phar", "inc", "jsp", "jspx", "jspf", "asp", "aspx", "ashx", "cgi", "pl", "py", "rb", "sh"}

web_roots := ["/var/www/", "/srv/www/", "/srv/http/", "/usr/share/nginx/", "/usr/local/apache2/htdocs/", "/var/lib/tomcat", "/opt/tomcat", "/usr/local/tomcat/webapps/"]

# METADATA
# title: Proxy writes a script below a web root
# description: A proxy is made to save a page that runs code. The entry keeps this server from this file.
# custom:
#   id: web-shell-by-proxy
#   severity: critical
#   mitre: [T1505.003, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"open", "create", "rename", "link"}
	changed
	some path in file_names
	script_below_root(path)
	programs.base(input.process.executable) in proxies
	msg := sprintf("%s writes the script %s", [input.process.executable, path])
}

# METADATA
# title: Script written below a web root by a server
# description: Apache, PHP or a database writes a page that runs code. Content management systems update and cache themselves this way.
# custom:
#   id: web-shell-by-server
#   severity: medium
#   mitre: [T1505.003, T1190]
#   maturity: noisy
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link"}
	changed
	some path in file_names
	script_below_root(path)
	programs.is_network_service(input.process.executable)
	not programs.base(input.process.executable) in proxies
	msg := sprintf("%s writes the script %s", [input.process.executable, path])
}

# METADATA
# title: Script written into a directory for uploads
# description: Where uploads are kept nothing is meant to run.
# custom:
#   id: web-shell-in-uploads
#   severity: high
#   mitre: [T1505.003]
#   maturity: stable
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link"}
	changed
	some path in file_names
	script_below_root(path)
	some part in ["/uploads/", "/upload/", "/media/", "/files/", "/images/", "/avatars/"]
	contains(lower(path), part)
	not programs.base(input.process.executable) in proxies
	msg := sprintf("%s writes the script %s among uploads", [input.process.executable, path])
}

script_below_root(path) if {
	lower(files.extension(path)) in script_extensions
	files.below(path, web_roots)
}
