# METADATA
# title: Embargoed egress
# description: Standing rules, in force from the first packet. Each country names the measure that puts it here.
package sentinel.embargo

# Make an exception with an exemption, never by editing this file. These are the countries of the embargo programmes below
# geoip/data/embargo/ (docs/geo.md), and a test holds them to that. Regions under embargo (Crimea and others) need a database
# with regions and are not part of this set.

# METADATA
# title: Embargoed destination (Cuba)
# description: Comprehensive United States embargo since 1963 (OFAC, 31 CFR part 515).
# custom:
#   id: embargo-cuba
#   severity: critical
#   mitre: [T1041]
#   maturity: stable
block_countries contains "CU"

# METADATA
# title: Embargoed destination (Iran)
# description: Comprehensive United States embargo since 1995 (OFAC, 31 CFR part 560); United Nations measures returned on 2025-09-27.
# custom:
#   id: embargo-iran
#   severity: critical
#   mitre: [T1041]
#   maturity: stable
block_countries contains "IR"

# METADATA
# title: Embargoed destination (North Korea)
# description: Comprehensive United States embargo since 2016 (OFAC, 31 CFR part 510, Executive Order 13722) and United Nations measures.
# custom:
#   id: embargo-north-korea
#   severity: critical
#   mitre: [T1041]
#   maturity: stable
block_countries contains "KP"

# METADATA
# title: Embargoed destination (Syria)
# description: OFAC ended its programme on 2025-06-30 (Executive Order 14312); BIS still controls exports comprehensively (15 CFR 746.9, rule of 2025-09-02).
# custom:
#   id: embargo-syria
#   severity: critical
#   mitre: [T1041]
#   maturity: stable
block_countries contains "SY"
