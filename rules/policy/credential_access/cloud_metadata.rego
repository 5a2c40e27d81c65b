# METADATA
# title: Cloud metadata service
# description: The metadata service hands out credentials of the machine. Applications and agents with a cloud SDK may ask it; the programs below have no reason of their own.
package sentinel.cloud_metadata

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.transfer_tools

# Instance metadata (IPv4, IPv6), container credentials, pod identity, and the addresses of other clouds.
services := {
	"169.254.169.254", "fd00:ec2::254", "fd20:ce::254",
	"169.254.170.2", "169.254.170.23", "fd00:ec2::23",
	"100.100.100.200", "169.254.0.23", "192.0.0.192",
}

# One that relays requests is steered by whoever sends them.
relays := {"nginx", "apache2", "httpd", "haproxy", "envoy", "traefik", "caddy", "lighttpd", "squid", "varnishd"}

# METADATA
# title: Proxy or web server asks for cloud credentials
# description: A forged request makes a relay fetch credentials. The entry keeps this server from this address.
# custom:
#   id: cloud-metadata-relay
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1552.005, T1190]
#   maturity: stable
deny contains msg if {
	input.event.action in {"connect", "send"}
	metadata_service
	programs.base(input.process.executable) in relays
	msg := sprintf("%s contacts the metadata service %s", [input.process.executable, input.destination.ip])
}

# METADATA
# title: Dropped program asks for cloud credentials
# description: A program in a world-writable directory or without a file asks. The entry keeps this program from this address.
# custom:
#   id: cloud-metadata-dropped-program
#   accept: [entry-wider-than-rule]
#   severity: critical
#   mitre: [T1552.005]
#   maturity: stable
deny contains msg if {
	input.event.action in {"connect", "send"}
	metadata_service
	dropped(input.process.executable)
	msg := sprintf("%s contacts the metadata service %s", [input.process.executable, input.destination.ip])
}

# METADATA
# title: Tool asks for cloud credentials
# description: Shells and download tools ask in start-up scripts and in intrusions, so it is an alert.
# custom:
#   id: cloud-metadata-tool
#   severity: medium
#   mitre: [T1552.005]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"connect", "send"}
	metadata_service
	general_tool
	msg := sprintf("%s contacts the metadata service %s", [input.process.executable, input.destination.ip])
}

# Some clouds answer DNS (53) and time (123) on the same address; those hold no credentials.
metadata_service if {
	input.destination.ip in services
	not input.destination.port in {53, 123}
}

dropped(path) if files.world_writable(path)

dropped(path) if files.memfd(path)

general_tool if programs.name(input.process) in transfer_tools

general_tool if programs.is_shell(input.process)

general_tool if programs.is_php(input.process.executable)
