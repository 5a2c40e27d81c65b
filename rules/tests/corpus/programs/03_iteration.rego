# `some`, `every`, `in`, variables in references.

# --- c041 some in an array
# input {"l": ["a", "b"]} => ["a", "b"]
package sentinel.c041
deny contains x if some x in input.l

# --- c042 some with its index
# input {"l": ["a", "b"]} => ["0a", "1b"]
package sentinel.c042
deny contains sprintf("%d%s", [i, x]) if some i, x in input.l

# --- c043 some in an object
# input {"o": {"k": "v"}} => ["k=v"]
package sentinel.c043
deny contains sprintf("%s=%s", [k, v]) if some k, v in input.o

# --- c044 some in a set
# input {} => ["p", "q"]
package sentinel.c044
deny contains x if some x in {"p", "q"}

# --- c045 some in nothing
# input {} => []
# input {"l": []} => []
package sentinel.c045
deny contains "found" if some x in input.l

# --- c046 some with a pattern
# input {"l": [["a", 1], ["b", 2]]} => ["b"]
package sentinel.c046
deny contains x if some [x, 2] in input.l

# --- c047 some with a name alone
# input {"l": [7, 8]} => ["1"]
package sentinel.c047
deny contains sprintf("%d", [i]) if {
	some i
	input.l[i] == 8
}

# --- c048 an underscore is any
# engine interpreter
# input {"l": [{"n": "x"}, {"n": "y"}]} => ["x", "y"]
package sentinel.c048
deny contains input.l[_].n

# --- c049 two underscores are two variables
# input {"a": [1, 2], "b": [2, 3]} => ["shared"]
# input {"a": [1], "b": [2]} => []
package sentinel.c049
deny contains "shared" if input.a[_] == input.b[_]

# --- c050 one variable in two places is one index
# input {"a": [1, 2], "b": [2, 2]} => ["1"]
package sentinel.c050
deny contains sprintf("%d", [i]) if input.a[i] == input.b[i]

# --- c051 every
# input {"l": [1, 2]} => ["all"]
# input {"l": [1, -2]} => []
package sentinel.c051
deny contains "all" if every x in input.l { x > 0 }

# --- c052 every in nothing holds
# input {"l": []} => ["all"]
package sentinel.c052
deny contains "all" if every x in input.l { x > 0 }

# --- c053 every of what is not there does not hold
# input {} => []
package sentinel.c053
deny contains "all" if every x in input.l { x > 0 }

# --- c054 every with keys
# input {"o": {"a": "a"}} => ["all"]
# input {"o": {"a": "b"}} => []
package sentinel.c054
deny contains "all" if every k, v in input.o { k == v }

# --- c055 every with several conditions
# input {"l": [{"a": 1, "b": 2}]} => ["all"]
# input {"l": [{"a": 1}]} => []
package sentinel.c055
deny contains "all" if every x in input.l {
	x.a == 1
	x.b == 2
}

# --- c056 every with an assignment of what is not there
# input {"l": [{"a": 1}]} => ["all"]
# input {"l": [{"a": 1}, {}]} => []
package sentinel.c056
deny contains "all" if every x in input.l { y := x.a }

# --- c057 every below some
# input {"l": [[1], [1, 9]]} => ["0"]
package sentinel.c057
deny contains sprintf("%d", [i]) if {
	some i, list in input.l
	every x in list { x < 5 }
}

# --- c058 in
# input {"x": "a"} => ["array", "object", "set"]
# input {"x": "z"} => []
package sentinel.c058
deny contains "set" if input.x in {"a", "b"}
deny contains "array" if input.x in ["a", "b"]
deny contains "object" if input.x in {"k": "a"}

# --- c059 in with a key
# engine interpreter
# input {"k": "a"} => ["found"]
# input {"k": "b"} => []
package sentinel.c059
deny contains "found" if input.k, 1 in {"a": 1, "b": 2}

# --- c060 not in
# input {"x": "z"} => ["outside"]
# input {"x": "a"} => []
# input {} => ["outside"]
package sentinel.c060
deny contains "outside" if not input.x in {"a"}
