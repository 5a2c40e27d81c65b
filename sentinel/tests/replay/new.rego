package sentinel.lab

fetchers := {"curl", "wget"}

# METADATA
# custom:
#   id: lab-fetch
#   severity: high
deny contains {"msg": msg, "ttl": 3600} if {
	input.event.action == "connect"
	input.process.name in fetchers
	net.cidr_contains("192.0.2.0/24", input.destination.ip)
	msg := sprintf("%s connects to %s", [input.process.executable, input.destination.ip])
}

# METADATA
# custom:
#   id: lab-dropped
deny contains {"msg": "a program from /tmp", "scope": "file"} if {
	input.event.action == "exec"
	startswith(input.process.executable, "/tmp/")
}

block_cidrs contains {"value": "203.0.113.0/25", "id": "lab-net"}

block_cidrs contains {"value": "198.51.100.4/32", "id": "lab-some", "only": {"cgroups": ["/lab.slice"]}}

exemptions contains {
	"id": "lab-licence",
	"type": "license",
	"authority": "lab",
	"reference": "L-1",
	"approver": "legal",
	"expires": "2026-12-31",
	"cidrs": ["203.0.113.8/32"],
}

block_paths contains {"value": "/srv/lab/guarded/", "id": "lab-guarded", "access": ["write"], "mode": "monitor"}
