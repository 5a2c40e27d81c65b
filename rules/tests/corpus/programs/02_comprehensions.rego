# Comprehensions of arrays, sets and objects.

# --- c021 an array
# input {"l": [1, 2, 3]} => ["[2, 3]"]
package sentinel.c021
deny contains sprintf("%v", [[x | some x in input.l; x > 1]])

# --- c022 an array keeps what is there twice
# input {"l": [1, 1]} => ["2"]
package sentinel.c022
deny contains sprintf("%d", [count([x | some x in input.l])])

# --- c023 a set does not
# input {"l": [1, 1]} => ["1"]
package sentinel.c023
deny contains sprintf("%d", [count({x | some x in input.l})])

# --- c024 an object
# input {"l": ["a", "b"]} => ["ok"]
package sentinel.c024
deny contains "ok" if {v: k | some k, v in input.l} == {"a": 0, "b": 1}

# --- c025 nothing found is an empty collection
# input {} => ["array", "object", "set"]
package sentinel.c025
deny contains "array" if [x | some x in input.l] == []
deny contains "set" if {x | some x in input.l} == set()
deny contains "object" if {x: 1 | some x in input.l} == {}

# --- c026 a comprehension over nothing
# input {"a": 1} => ["held"]
# input {"a": 2} => ["not held"]
package sentinel.c026
deny contains "held" if count([1 | input.a == 1]) > 0
deny contains "not held" if count([1 | input.a == 1]) == 0

# --- c027 one inside another
# input {"l": [[1, 2], [3]]} => ["ok"]
package sentinel.c027
deny contains "ok" if [sum([y | some y in x]) | some x in input.l] == [3, 3]

# --- c028 a variable from outside
# input {"l": [1, 5, 9], "n": 4} => ["2"]
package sentinel.c028
deny contains sprintf("%d", [count(above)]) if {
	limit := input.n
	above := [x | some x in input.l; x > limit]
}

# --- c029 two iterations
# input {"a": [1, 2], "b": [10, 20]} => ["ok"]
package sentinel.c029
deny contains "ok" if {s | some x in input.a; some y in input.b; s := x + y} == {11, 12, 21, 22}

# --- c030 by index
# input {"l": ["a", "b", "c"]} => ["ok"]
package sentinel.c030
deny contains "ok" if [i | some i; input.l[i] != "b"] == [0, 2]

# --- c031 with an assignment inside
# input {"l": ["A", "b"]} => ["ok"]
package sentinel.c031
deny contains "ok" if [y | some x in input.l; y := lower(x)] == ["a", "b"]

# --- c032 an assignment inside of what is not there
# input {"l": [{"n": 1}, {}]} => ["1"]
package sentinel.c032
deny contains sprintf("%d", [count([y | some x in input.l; y := x.n])])

# --- c033 not inside
# input {"l": [1, 2, 3], "bad": [2]} => ["ok"]
package sentinel.c033
deny contains "ok" if [x | some x in input.l; not x in input.bad] == [1, 3]

# --- c034 as the member
# input {"l": ["x", "y"]} => ["x,y"]
package sentinel.c034
deny contains concat(",", [s | some s in input.l])

# --- c035 over an object
# input {"o": {"a": 1, "b": 2}} => ["ok"]
package sentinel.c035
deny contains "ok" if {k | some k, v in input.o; v > 1} == {"b"}

# --- c036 OPA takes arithmetic in front of the bar; here it has to be assigned first
# refused unexpected keyword `some`
package sentinel.c036
doubled := [x * 2 | some x in input.l]
deny contains sprintf("%v", [doubled])

# --- c037 of objects
# input {"l": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]} => ["2"]
package sentinel.c037
by_name := {x.n: x.v | some x in input.l}
deny contains sprintf("%d", [by_name.b])

# --- c038 a set of arrays
# input {"l": [1]} => ["ok"]
package sentinel.c038
deny contains "ok" if {[x, x + 1] | some x in input.l} == {[1, 2]}

# --- c039 in a condition on its size
# input {"l": [5, 6]} => ["many"]
# input {"l": [5]} => []
package sentinel.c039
deny contains "many" if count({x | some x in input.l; x > 4}) > 1

# --- c040 with a false condition after it
# input {"a": 2} => []
package sentinel.c040
deny contains "never" if {
	found := [1 | input.a == 1]
	count(found) == 3
	input.a == 2
}
