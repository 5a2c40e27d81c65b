# What is not there, `not`, assignment and unification.

# --- c151 what is not there fails
# input {} => []
package sentinel.c151
deny contains "equal" if input.a == 1
deny contains "different" if input.a != 1
deny contains "less" if input.a < 1
deny contains "true" if input.a
deny contains "called" if lower(input.a) == "x"
deny contains "in" if input.a in {1}

# --- c152 not of what is not there holds
# input {} => ["called", "deep", "equal", "in", "true"]
package sentinel.c152
deny contains "equal" if not input.a == 1
deny contains "true" if not input.a
deny contains "deep" if not input.a.b.c
deny contains "called" if not lower(input.a) == "x"
deny contains "in" if not input.a in {1}

# --- c153 an assignment of what is not there fails
# input {} => []
# input {"a": false} => ["assigned"]
package sentinel.c153
deny contains "assigned" if x := input.a

# --- c154 also with conditions behind it
# input {} => []
# input {"a": "x"} => ["other"]
# input {"a": "sh"} => []
package sentinel.c154
deny contains "other" if {
	name := lower(input.a)
	not name in {"sh", "bash"}
}

# --- c155 also in a helper
# input {} => ["no name"]
# input {"a": "x"} => ["name"]
package sentinel.c155
named if name := input.a
deny contains "name" if named
deny contains "no name" if not named

# --- c156 also in a function
# input {"p": {}} => ["unnamed"]
# input {"p": {"n": "x"}} => ["named"]
package sentinel.c156
named(p) if {
	n := p.n
	not n == "y"
}
deny contains "named" if named(input.p)
deny contains "unnamed" if not named(input.p)

# --- c157 a member that is not there is none
# input {} => []
package sentinel.c157
deny contains input.a
deny contains sprintf("%v", [input.a])

# --- c158 an array with a hole is not there
# input {} => []
package sentinel.c158
deny contains "array" if count([1, input.a]) > 0
deny contains "set" if count({1, input.a}) > 0
deny contains "object" if count({"a": input.a}) > 0

# --- c159 a step below a value that has none
# input {"a": "text"} => ["none"]
package sentinel.c159
deny contains "below" if input.a.b == 1
deny contains "none" if not input.a.b

# --- c160 an index past the end
# input {"l": ["a"]} => ["a"]
package sentinel.c160
deny contains input.l[0]
deny contains input.l[1]

# --- c161 unification finds a value
# input {"p": ["a", "b"]} => ["b"]
# input {"p": ["x", "b"]} => []
package sentinel.c161
deny contains x if ["a", x] = input.p

# --- c162 unification both ways
# input {"a": "left", "b": "right"} => ["left right"]
package sentinel.c162
deny contains sprintf("%s %s", [x, y]) if [x, input.b] = [input.a, y]

# --- c163 unification of objects
# input {"o": {"k": "v"}} => ["v"]
# deviates {"o": {"k": "v", "l": 1}} => ["v"], since further keys are not looked at
package sentinel.c163
deny contains v if {"k": v} = input.o

# --- c164 taking an array apart
# input {"p": [1, [2, 3]]} => ["6"]
# input {"p": [1, 2]} => []
package sentinel.c164
deny contains sprintf("%d", [a + b + c]) if [a, [b, c]] := input.p

# --- c165 taking an object apart
# input {"o": {"a": {"b": "x"}}} => ["x"]
package sentinel.c165
deny contains x if {"a": {"b": x}} := input.o

# --- c166 not of a helper with several definitions
# input {"n": 1} => []
# input {"n": 2} => []
# input {"n": 3} => ["neither"]
package sentinel.c166
one_or_two if input.n == 1
one_or_two if input.n == 2
deny contains "neither" if not one_or_two

# --- c167 not of a function
# input {"p": "/tmp/x"} => []
# input {"p": "/usr/x"} => ["elsewhere"]
package sentinel.c167
temporary(path) if startswith(path, "/tmp/")
temporary(path) if startswith(path, "/var/tmp/")
deny contains "elsewhere" if not temporary(input.p)

# --- c168 not of a value that is false
# input {"a": false} => ["false"]
# input {"a": 0} => []
# input {"a": ""} => []
package sentinel.c168
deny contains "false" if not input.a

# --- c169 a function of what is not there is undefined
# input {} => []
# input {"a": 1} => ["called"]
package sentinel.c169
f(x) := "called" if x != 5
deny contains f(input.a)

# --- c170 a name shadows a rule
# input {"n": 4} => ["4"]
package sentinel.c170
limit := 9
deny contains sprintf("%d", [limit]) if {
	limit := input.n
	limit < 5
}
