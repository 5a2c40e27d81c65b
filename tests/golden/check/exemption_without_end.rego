package sentinel.golden

exemptions contains {
	"id": "license",
	"type": "license",
	"authority": "OFAC",
	"reference": "31 CFR 560.540",
	"approver": "compliance@example.com",
	"countries": ["IR"],
}
