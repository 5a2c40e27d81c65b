# METADATA
# title: What kind of destination is this
# description: Address classes. Addresses reach policies normalised, so an IPv4-mapped address is already IPv4.
package sentinel.lib.net

loopback(ip) if startswith(ip, "127.")

loopback(ip) if ip == "::1"

internal(ip) if loopback(ip)

internal(ip) if {
	some prefix in ["10.", "192.168.", "169.254.", "0."]
	startswith(ip, prefix)
}

internal(ip) if {
	startswith(ip, "172.")
	second_octet(ip) >= 16
	second_octet(ip) <= 31
}

# Shared address space (100.64.0.0/10): carriers, overlay networks, pods.
internal(ip) if {
	startswith(ip, "100.")
	second_octet(ip) >= 64
	second_octet(ip) <= 127
}

# Unique local (fc00::/7) and link-local (fe80::/10) addresses, and the unspecified one, which means this host.
internal(ip) if {
	contains(ip, ":")
	some prefix in ["fc", "fd", "fe8", "fe9", "fea", "feb"]
	startswith(ip, prefix)
}

internal(ip) if ip == "::"

public(ip) if not internal(ip)

second_octet(ip) := to_number(split(ip, ".")[1])
