# Strings.

# --- c081 startswith, endswith, contains
# input {"s": "abc"} => ["contains", "endswith", "startswith"]
# input {"s": "xyz"} => []
package sentinel.c081
deny contains "startswith" if startswith(input.s, "ab")
deny contains "endswith" if endswith(input.s, "bc")
deny contains "contains" if contains(input.s, "b")

# --- c082 lower and upper
# input {"s": "aB"} => ["AB", "ab"]
package sentinel.c082
deny contains lower(input.s)
deny contains upper(input.s)

# --- c083 trim and its relatives
# input {} => ["left", "prefix", "right", "space", "suffix", "trim"]
package sentinel.c083
deny contains "trim" if trim("..a..", ".") == "a"
deny contains "left" if trim_left("..a..", ".") == "a.."
deny contains "right" if trim_right("..a..", ".") == "..a"
deny contains "space" if trim_space(" a\n") == "a"
deny contains "prefix" if trim_prefix("/a/b", "/a") == "/b"
deny contains "suffix" if trim_suffix("a.sh", ".sh") == "a"

# --- c084 split and concat
# input {"p": "/usr/bin/sh"} => ["sh", "usr.bin.sh"]
package sentinel.c084
parts := split(input.p, "/")
deny contains parts[count(parts) - 1]
deny contains concat(".", array.slice(parts, 1, 4))

# --- c085 the last part, by a helper
# input {"p": "/usr/bin/sh (deleted)"} => ["shell"]
# input {"p": "/usr/bin/ls"} => []
package sentinel.c085
base(path) := parts[count(parts) - 1] if {
	parts := split(trim_suffix(path, " (deleted)"), "/")
}
deny contains "shell" if base(input.p) in {"sh", "bash"}

# --- c086 replace
# input {} => ["a-b-c"]
package sentinel.c086
deny contains replace("a.b.c", ".", "-")

# --- c087 indexof and indexof_n
# input {} => ["first", "missing"]
package sentinel.c087
deny contains "first" if indexof("abcb", "b") == 1
deny contains "missing" if indexof("abc", "z") == -1

# --- c088 substring
# input {} => ["bc", "cd"]
package sentinel.c088
deny contains substring("abcd", 1, 2)
deny contains substring("abcd", 2, -1)

# --- c089 strings.reverse
# input {} => ["cba"]
package sentinel.c089
deny contains strings.reverse("abc")

# --- c090 sprintf
# input {"s": "x", "n": 3} => ["007", "3.50", "[1 2]", "true", "x has 3"]
package sentinel.c090
deny contains sprintf("%s has %d", [input.s, input.n])
deny contains sprintf("%v", [true])
deny contains sprintf("%03d", [7])
deny contains sprintf("%.2f", [3.5])
deny contains sprintf("[%v %v]", [1, 2])

# --- c091 a percent sign
# input {} => ["100%"]
package sentinel.c091
deny contains sprintf("%d%%", [100])

# --- c092 strings.any_prefix_match and any_suffix_match
# input {"s": "/tmp/x"} => ["prefix"]
# input {"s": "a.sh"} => ["suffix"]
package sentinel.c092
deny contains "prefix" if strings.any_prefix_match(input.s, {"/tmp/", "/dev/shm/"})
deny contains "suffix" if strings.any_suffix_match(input.s, [".sh", ".py"])

# --- c093 strings.count
# input {"s": "a.b.c"} => ["two"]
package sentinel.c093
deny contains "two" if strings.count(input.s, ".") == 2

# --- c094 strings compare by their letters
# input {} => ["ok"]
package sentinel.c094
deny contains "ok" if {
	"a" < "b"
	"Z" < "a"
	"10" < "9"
}

# --- c095 count of a string is its letters
# input {"s": "hé"} => ["2"]
package sentinel.c095
deny contains sprintf("%d", [count(input.s)])

# --- c096 format_int
# input {} => ["1010", "ff"]
package sentinel.c096
deny contains format_int(255, 16)
deny contains format_int(10, 2)

# --- c097 a raw string keeps its backslashes
# input {"s": "a\\b"} => ["same"]
package sentinel.c097
deny contains "same" if input.s == `a\b`

# --- c098 escapes
# input {"s": "tab\there"} => ["same"]
package sentinel.c098
deny contains "same" if input.s == "tab\there"

# --- c099 a prefix out of a list
# input {"s": "/var/tmp/x"} => ["/var/tmp/"]
# input {"s": "/usr/x"} => []
package sentinel.c099
deny contains prefix if {
	some prefix in ["/tmp/", "/var/tmp/"]
	startswith(input.s, prefix)
}

# --- c100 text around a value
# input {"a": "x"} => ["<x>"]
# input {} => []
package sentinel.c100
deny contains msg if msg := concat(input.a, ["<", ">"])
