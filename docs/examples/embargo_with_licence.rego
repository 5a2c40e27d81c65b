# METADATA
# title: Embargo with a licence
# description: Every country of the embargo programmes, and one exception that a licence allows until it ends.
package sentinel.embargo_with_licence

# METADATA
# title: Embargoed destination
# custom:
#   id: embargo
#   severity: critical
#   mitre: [T1041]
block_countries contains code if {
	some programme in data.embargo
	some code in programme.countries
}

# The expiry is mandatory. Every use is named in an alert, and the end is announced 30, 7 and 1 day before.
exemptions contains {
	"id": "personal-communication",
	"type": "general-license",
	"authority": "OFAC",
	"reference": "31 CFR 560.540",
	"approver": "compliance@example.com",
	"expires": "2027-06-30",
	"cidrs": ["203.0.113.0/24"],
}
