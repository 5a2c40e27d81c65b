# METADATA
# title: Networks of one service
# description: The shop server reaches its database and its payment provider; nobody else reaches the payment network.
package sentinel.egress_allow_list

server := "/opt/shop/server"

networks := {"10.0.0.0/24", "192.0.2.0/28", "2001:db8:5::/64"}

# From the first packet: the payment network is there for the server alone.
# METADATA
# title: Payment network
# custom:
#   id: payment-network
#   severity: high
#   mitre: [T1021]
block_cidrs contains {"value": "192.0.2.0/28", "except": {"executables": [server]}}

# METADATA
# title: Shop server leaves its networks
# description: Decided after the first packet; the entry keeps the server from this destination.
# custom:
#   id: shop-egress
#   severity: high
#   mitre: [T1041]
deny contains msg if {
	input.event.action in {"connect", "send"}
	input.process.executable == server
	not inside(input.destination.ip)
	msg := sprintf("%s contacts %s port %v", [server, input.destination.ip, input.destination.port])
}

inside(ip) if {
	some network in networks | {"127.0.0.0/8", "::1/128"}
	net.cidr_contains(network, ip)
}
