# METADATA
# title: Five countries
# description: A branch office talks to five countries and to nowhere else. Private addresses have no country and are not affected.
package sentinel.allow_countries

# METADATA
# title: Destination outside the five countries
# custom:
#   id: outside-the-five
#   severity: high
#   mitre: [T1041]
allow_countries := {"DE", "FR", "NL", "BE", "LU"}

# METADATA
# title: Destination outside the five countries, named
# description: The standing rule refuses; this says more about who tried.
# custom:
#   id: outside-the-five-who
#   severity: medium
#   mitre: [T1041]
alert contains msg if {
	input.event.action in {"connect", "send"}
	country := input.destination.geo.country_iso_code
	not country in allow_countries
	msg := sprintf("%s of user %s contacts %s in %s", [input.process.executable, input.user.id, input.destination.ip, country])
}
