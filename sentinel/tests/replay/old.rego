package sentinel.lab

# METADATA
# custom:
#   id: lab-fetch
#   severity: high
alert contains msg if {
	input.event.action == "connect"
	net.cidr_contains("192.0.2.0/24", input.destination.ip)
	msg := sprintf("%s connects to %s", [input.process.executable, input.destination.ip])
}

block_cidrs contains {"value": "203.0.113.0/24", "id": "lab-net"}

block_paths contains {"value": "/srv/lab/guarded/", "id": "lab-guarded", "access": ["write"]}

# METADATA
# custom:
#   id: lab-secret
alert contains "the secret is read" if {
	input.event.action == "open"
	input.file.path == "/etc/lab/secret"
}
