# Partial sets and objects, sets, objects, arrays.

# --- c061 a partial set
# input {"l": [1, 2, 3]} => ["2"]
package sentinel.c061
hits contains x if {
	some x in input.l
	x > 1
}
deny contains sprintf("%d", [count(hits)])

# --- c062 a partial set in several definitions
# input {"a": "x", "b": "y"} => ["x", "y"]
# input {"b": "y"} => ["y"]
package sentinel.c062
hits contains input.a
hits contains input.b
deny contains hit if some hit in hits

# --- c063 a member of a partial set
# input {"w": "on"} => ["found"]
# input {"w": "off"} => []
package sentinel.c063
words contains "on"
words contains "up"
deny contains "found" if words[input.w]

# --- c064 an empty partial set is there
# input {} => ["empty"]
package sentinel.c064
hits contains x if some x in input.l
deny contains "empty" if count(hits) == 0

# --- c065 a partial object
# input {"l": ["a", "b"]} => ["b"]
package sentinel.c065
by_place[i] := x if some i, x in input.l
deny contains by_place[1]

# --- c066 a partial object with written keys
# engine interpreter
# input {"n": 3} => ["3"]
package sentinel.c066
facts["number"] := input.n
facts["other"] := 1
deny contains sprintf("%d", [facts.number])

# --- c067 the union of sets
# input {} => ["ok"]
package sentinel.c067
deny contains "ok" if {1, 2} | {2, 3} == {1, 2, 3}

# --- c068 the intersection of sets
# input {"l": ["a", "c"]} => ["c"]
package sentinel.c068
deny contains x if some x in {y | some y in input.l} & {"b", "c"}

# --- c069 the difference of sets
# input {"l": ["a", "b"]} => ["a"]
package sentinel.c069
deny contains x if some x in {y | some y in input.l} - {"b"}

# --- c070 a set written out is without order
# input {} => ["ok"]
package sentinel.c070
deny contains "ok" if {3, 1, 2} == {1, 2, 3}

# --- c071 union and intersection of many
# input {} => ["intersection", "union"]
package sentinel.c071
deny contains "union" if union({{1}, {2}}) == {1, 2}
deny contains "intersection" if intersection({{1, 2}, {2, 3}}) == {2}

# --- c072 object.get
# input {"o": {"a": "x"}} => ["none", "x"]
package sentinel.c072
deny contains object.get(input.o, "a", "none")
deny contains object.get(input.o, "b", "none")

# --- c073 object.get by path
# input {"o": {"a": {"b": "deep"}}} => ["deep"]
package sentinel.c073
deny contains object.get(input.o, ["a", "b"], "none")

# --- c074 object.keys
# input {"o": {"a": 1, "b": 2}} => ["a", "b"]
package sentinel.c074
deny contains k if some k in object.keys(input.o)

# --- c075 object.union, remove, filter
# input {} => ["filter", "remove", "union"]
package sentinel.c075
deny contains "union" if object.union({"a": 1}, {"b": 2}) == {"a": 1, "b": 2}
deny contains "remove" if object.remove({"a": 1, "b": 2}, ["a"]) == {"b": 2}
deny contains "filter" if object.filter({"a": 1, "b": 2}, ["a"]) == {"a": 1}

# --- c076 arrays: concat, slice, reverse
# input {} => ["concat", "reverse", "slice"]
package sentinel.c076
deny contains "concat" if array.concat([1], [2]) == [1, 2]
deny contains "slice" if array.slice([1, 2, 3], 1, 3) == [2, 3]
deny contains "reverse" if array.reverse([1, 2]) == [2, 1]

# --- c077 a nested document
# input {"a": {"b": [{"c": "deep"}]}} => ["deep"]
package sentinel.c077
deny contains input.a.b[0].c

# --- c078 keys that are no names
# input {"a-b": {"c d": "x"}} => ["x"]
package sentinel.c078
deny contains input["a-b"]["c d"]

# --- c079 objects in sets
# input {"n": 1} => ["in"]
# input {"n": 2} => []
package sentinel.c079
deny contains "in" if {"n": input.n} in {{"n": 1}, {"n": 3}}

# --- c080 json.filter and json.remove
# input {} => ["filter", "remove"]
package sentinel.c080
deny contains "filter" if json.filter({"a": {"b": 1, "c": 2}}, ["a/b"]) == {"a": {"b": 1}}
deny contains "remove" if json.remove({"a": {"b": 1, "c": 2}}, ["a/b"]) == {"a": {"c": 2}}
