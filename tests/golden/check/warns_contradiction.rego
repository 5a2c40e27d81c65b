# check: --deny-warnings
package sentinel.golden

block_cidrs contains {"id": "lab-net", "value": "198.51.100.0/25"}

exemptions contains {
	"id": "lab-licence",
	"type": "licence",
	"authority": "OFAC",
	"reference": "GL-8",
	"approver": "compliance@example.org",
	"expires": "2199-01-01",
	"cidrs": ["198.51.100.0/24"],
}
