# Regular expressions, globs, networks, time, encodings, versions.

# --- c121 regex.match
# input {"s": "id_rsa"} => ["key"]
# input {"s": "id"} => []
package sentinel.c121
deny contains "key" if regex.match(`^id_[a-z0-9]+$`, input.s)

# --- c122 a pattern matches anywhere unless it is anchored
# input {"s": "xaby"} => ["inside"]
package sentinel.c122
deny contains "inside" if regex.match("ab", input.s)
deny contains "whole" if regex.match("^ab$", input.s)

# --- c123 regex.split
# input {"s": "a1b22c"} => ["a", "b", "c"]
package sentinel.c123
deny contains part if some part in regex.split("[0-9]+", input.s)

# --- c124 regex.replace
# input {"s": "a1b2"} => ["a#b#"]
package sentinel.c124
deny contains regex.replace(input.s, "[0-9]", "#")

# --- c125 regex.find_n
# input {"s": "a1b2c3"} => ["1", "2"]
package sentinel.c125
deny contains digit if some digit in regex.find_n("[0-9]", input.s, 2)

# --- c126 regex.is_valid
# input {} => ["valid"]
package sentinel.c126
deny contains "valid" if regex.is_valid("a+")

# --- c127 a pattern without regard to case
# input {"s": "CURL"} => ["curl"]
package sentinel.c127
deny contains "curl" if regex.match("(?i)^curl$", input.s)

# --- c128 glob.match
# input {"s": "a.b.c"} => ["deep"]
# input {"s": "a.b"} => ["one"]
package sentinel.c128
deny contains "one" if glob.match("a.*", ["."], input.s)
deny contains "deep" if glob.match("a.**.c", ["."], input.s)

# --- c129 a glob of paths
# input {"p": "/etc/cron.d/x"} => ["cron"]
# input {"p": "/etc/cron.d/a/b"} => []
package sentinel.c129
deny contains "cron" if glob.match("/etc/cron.d/*", ["/"], input.p)

# --- c130 alternatives in a glob
# input {"p": "a.sh"} => ["script"]
# input {"p": "a.txt"} => []
package sentinel.c130
deny contains "script" if glob.match("*.{sh,py}", ["/"], input.p)

# --- c131 net.cidr_contains an address
# input {"ip": "10.1.2.3"} => ["inside"]
# input {"ip": "11.1.2.3"} => ["outside"]
package sentinel.c131
deny contains "inside" if net.cidr_contains("10.0.0.0/8", input.ip)
deny contains "outside" if not net.cidr_contains("10.0.0.0/8", input.ip)

# --- c132 net.cidr_contains a network
# input {"net": "10.1.0.0/16"} => ["inside"]
package sentinel.c132
deny contains "inside" if net.cidr_contains("10.0.0.0/8", input.net)
deny contains "not the other way" if net.cidr_contains(input.net, "10.0.0.0/8")

# --- c133 net.cidr_contains, version 6
# input {"ip": "2001:db8::1"} => ["inside"]
# input {"ip": "2001:db9::1"} => []
package sentinel.c133
deny contains "inside" if net.cidr_contains("2001:db8::/32", input.ip)

# --- c134 a function of OPA that is not there
# refused `net.cidr_intersects` is neither a built-in function nor a rule
package sentinel.c134
deny contains "overlap" if net.cidr_intersects("10.0.0.0/8", input.net)

# --- c135 net.cidr_is_valid
# input {"net": "10.0.0.0/8"} => ["valid"]
# input {"net": "10.0.0.0/33"} => []
package sentinel.c135
deny contains "valid" if net.cidr_is_valid(input.net)

# --- c136 a network out of several
# input {"ip": "192.168.4.4"} => ["192.168.0.0/16"]
# input {"ip": "203.0.113.1"} => []
package sentinel.c136
private := ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
deny contains cidr if {
	some cidr in private
	net.cidr_contains(cidr, input.ip)
}

# --- c137 what is no address is in no network
# input {"ip": "none"} => []
package sentinel.c137
deny contains "inside" if net.cidr_contains("10.0.0.0/8", input.ip)

# --- c138 time.parse_rfc3339_ns and time.diff
# input {"t": "2026-01-01T00:00:00Z"} => ["before"]
package sentinel.c138
deny contains "before" if time.parse_rfc3339_ns(input.t) < time.parse_rfc3339_ns("2026-06-01T00:00:00Z")

# --- c139 time.clock
# input {"t": "2026-01-01T23:30:00Z"} => ["23:30"]
package sentinel.c139
deny contains sprintf("%d:%d", [hour, minute]) if {
	[hour, minute, _] := time.clock(time.parse_rfc3339_ns(input.t))
}

# --- c140 time.date and time.weekday
# input {"t": "2026-11-22T10:00:00Z"} => ["2026-11-22", "Sunday"]
package sentinel.c140
at := time.parse_rfc3339_ns(input.t)
deny contains sprintf("%d-%d-%d", time.date(at))
deny contains time.weekday(at)

# --- c141 time.add_date
# input {"t": "2026-01-15T00:00:00Z"} => ["ok"]
# deviates {"t": "2026-01-31T00:00:00Z"} => [], since the end of a month is not carried over
package sentinel.c141
at := time.parse_rfc3339_ns(input.t)
deny contains "ok" if time.date(time.add_date(at, 1, 1, 1)) in [[2027, 2, 16], [2027, 3, 4]]

# --- c142 time.parse_duration_ns
# input {"d": "1h30m"} => ["long"]
# input {"d": "5s"} => []
package sentinel.c142
deny contains "long" if time.parse_duration_ns(input.d) > 3600000000000

# --- c143 time.now_ns is some time after this was written
# input {} => ["now"]
package sentinel.c143
deny contains "now" if time.now_ns() > time.parse_rfc3339_ns("2026-01-01T00:00:00Z")

# --- c144 two looks at the clock agree
# input {} => ["same"]
package sentinel.c144
deny contains "same" if time.now_ns() == time.now_ns()

# --- c145 base64
# input {"s": "c2g="} => ["sh"]
package sentinel.c145
deny contains base64.decode(input.s)

# --- c146 base64 in urls, and back
# input {"s": "a>b"} => ["YT5i"]
package sentinel.c146
deny contains base64url.encode_no_pad(input.s)

# --- c147 hex
# input {"s": "sh"} => ["7368"]
package sentinel.c147
deny contains hex.encode(input.s)

# --- c148 json
# input {"s": "{\"a\": [1, 2]}"} => ["2"]
# input {"s": "{"} => []
package sentinel.c148
deny contains sprintf("%d", [json.unmarshal(input.s).a[1]])

# --- c149 json.marshal
# input {"o": {"a": [1, "x", null]}} => ["{\"a\":[1,\"x\",null]}"]
package sentinel.c149
deny contains json.marshal(input.o)

# --- c150 semver.compare
# input {"v": "1.2.3"} => ["older"]
# input {"v": "2.0.0"} => []
package sentinel.c150
deny contains "older" if semver.compare(input.v, "1.10.0") < 0
