# `with`, imports, the older language, references between packages; what runs in the interpreter.

# --- c171 with replaces the input
# engine interpreter
# input {"a": 1} => ["two"]
package sentinel.c171
two if input.a == 2
deny contains "two" if two with input as {"a": 2}

# --- c172 with replaces a part of the input
# engine interpreter
# input {"a": 1, "b": 5} => ["both"]
package sentinel.c172
both if {
	input.a == 2
	input.b == 5
}
deny contains "both" if both with input.a as 2

# --- c173 with replaces data
# engine interpreter
# input {"x": "n"} => ["found"]
package sentinel.c173
listed if input.x in data.lists.words
deny contains "found" if listed with data.lists.words as ["n"]

# --- c174 walk
# engine interpreter
# input {"a": {"b": "needle"}} => ["a.b"]
package sentinel.c174
deny contains concat(".", path) if {
	walk(input, [path, value])
	value == "needle"
}

# --- c175 print is not in the way
# engine interpreter
# input {"a": 1} => ["printed"]
package sentinel.c175
deny contains "printed" if {
	print("value", input.a)
	input.a == 1
}

# --- c176 the older language
# rego: v0
# input {"l": [1, 2]} => ["two"]
# input {"l": [1]} => []
package sentinel.c176
deny[msg] { input.l[_] == 2; msg := "two" }

# --- c177 the older language: several bodies
# rego: v0
# input {"a": 1} => ["found"]
# input {"b": 1} => ["found"]
package sentinel.c177
found { input.a == 1 } { input.b == 1 }
deny["found"] { found }

# --- c178 the older language: functions and else
# rego: v0
# input {"n": 0} => ["zero"]
# input {"n": 7} => ["other"]
package sentinel.c178
name(n) = "zero" { n == 0 } else = "other" { true }
deny[name(input.n)] { true }

# --- c179 the older language: a value
# rego: v0
# input {"n": 3} => ["3"]
package sentinel.c179
limit = 3
deny[msg] { input.n >= limit; msg := sprintf("%d", [limit]) }

# --- c180 the older language: default
# rego: v0
# input {} => ["off"]
# input {"on": true} => ["on"]
package sentinel.c180
default state = "off"
state = "on" { input.on }
deny[state] { true }

# --- c181 the older language: not and comprehensions
# rego: v0
# input {"l": [1, 5]} => ["one is small"]
package sentinel.c181
small(n) { n < 3 }
deny["one is small"] { count([x | x := input.l[_]; not small(x)]) == 1 }

# --- c182 the older language with some and in
# rego: v0
# input {"l": ["a"]} => ["a"]
package sentinel.c182
import future.keywords.in
deny[x] { some x in input.l }

# --- c183 the older language with the words of the new
# rego: v0
# input {"n": 2} => ["two"]
package sentinel.c183
import future.keywords.if
import future.keywords.contains
deny contains "two" if input.n == 2

# --- c184 import rego.v1
# input {"n": 2} => ["two"]
package sentinel.c184
import rego.v1
deny contains "two" if input.n == 2

# --- c185 an import of a part of the input
# input {"process": {"name": "sh"}} => ["sh"]
package sentinel.c185
import input.process
deny contains process.name

# --- c186 an import by another name
# input {"process": {"name": "sh"}} => ["sh"]
package sentinel.c186
import input.process as actor
deny contains actor.name

# --- c187 an import of data
# input {"x": "b"} => ["listed"]
# input {"x": "z"} => []
package sentinel.c187
import data.lists.words
deny contains "listed" if input.x in words

# --- c188 data by name
# input {"k": "two"} => ["2"]
# input {"k": "nine"} => []
package sentinel.c188
deny contains sprintf("%d", [data.lists.numbers[input.k]])

# --- c189 an event of its own rules
# input {} => ["one", "seen"]
package sentinel.c189
deny contains "one"
alert contains "seen" if "one" in deny

# --- c190 an allow of the package
# input {"a": 1} => []
# input {"a": 2} => ["denied"]
package sentinel.c190
deny contains "denied"
allow contains "fine" if input.a == 1
