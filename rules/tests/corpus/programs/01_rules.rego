# Rules, bodies, defaults, `else`, functions.

# --- c001 a rule without a condition
# input {} => ["always"]
package sentinel.c001
deny contains "always"

# --- c002 conditions are joined by and
# input {"a": 1, "b": 2} => ["both"]
# input {"a": 1} => []
package sentinel.c002
deny contains "both" if {
	input.a == 1
	input.b == 2
}

# --- c003 definitions are joined by or
# input {"a": 1} => ["a"]
# input {"a": 1, "b": 1} => ["a", "b"]
package sentinel.c003
deny contains "a" if input.a == 1
deny contains "b" if input.b == 1

# --- c004 equal members of two definitions are two decisions, each with its rule
# input {} => ["same", "same"]
package sentinel.c004
deny contains "same" if true
deny contains msg if msg := "same"

# --- c005 a default where nothing else holds
# input {} => ["low"]
# input {"n": 5} => ["high"]
package sentinel.c005
default level := "low"
level := "high" if input.n > 3
deny contains level

# --- c006 a default does not replace false
# input {"on": false} => ["off"]
# input {} => ["default"]
package sentinel.c006
default state := "default"
state := "on" if input.on
state := "off" if input.on == false
deny contains state

# --- c007 else in order
# input {"n": 1} => ["one"]
# input {"n": 2} => ["two"]
# input {"n": 3} => ["many"]
# input {} => ["many"]
package sentinel.c007
name := "one" if {
	input.n == 1
} else := "two" if {
	input.n == 2
} else := "many"
deny contains name

# --- c008 else without a value is true
# input {"b": 1} => ["held"]
# input {} => []
package sentinel.c008
held if {
	input.a == 1
} else if {
	input.b == 1
}
deny contains "held" if held

# --- c009 else after an assignment of what is not there
# input {} => ["none"]
# input {"a": "x"} => ["x"]
package sentinel.c009
value := a if {
	a := input.a
} else := "none"
deny contains value

# --- c010 a function
# input {"s": "ab"} => ["ab!"]
# input {} => []
package sentinel.c010
shout(text) := concat("", [text, "!"])
deny contains shout(input.s)

# --- c011 a function by cases
# input {"n": 1} => ["small"]
# input {"n": 10} => ["large"]
package sentinel.c011
size(n) := "small" if n < 5
size(n) := "large" if n >= 5
deny contains size(input.n)

# --- c012 a function of literal arguments
# input {"k": "a"} => ["first"]
# input {"k": "z"} => []
package sentinel.c012
place("a") := "first"
place("b") := "second"
deny contains place(input.k)

# --- c013 a function with else
# input {"n": 0} => ["zero"]
# input {"n": 4} => ["other"]
package sentinel.c013
sign(n) := "zero" if {
	n == 0
} else := "other"
deny contains sign(input.n)

# --- c014 a function that is true or undefined
# input {"n": 4} => ["even"]
# input {"n": 3} => ["odd"]
package sentinel.c014
even(n) if n % 2 == 0
deny contains "even" if even(input.n)
deny contains "odd" if not even(input.n)

# --- c015 functions call functions
# input {"n": 3} => ["13"]
package sentinel.c015
double(n) := n * 2
plus(a, b) := a + b
deny contains sprintf("%d", [plus(double(input.n), plus(double(3), 1))])

# --- c016 a function without an argument to look at
# input {"x": 1} => ["called"]
package sentinel.c016
yes(_) := "called"
deny contains yes(input.x)

# --- c017 a function takes an array apart
# input {"p": ["a", "b"]} => ["b-a"]
# input {"p": ["a"]} => []
package sentinel.c017
swap([x, y]) := concat("-", [y, x])
deny contains swap(input.p)

# --- c018 one complete rule in several ways with one value
# input {"a": 1, "b": 1} => ["yes"]
package sentinel.c018
found := "yes" if input.a == 1
found := "yes" if input.b == 1
deny contains found

# --- c019 a rule named by its package
# input {"n": 2} => ["2"]
package sentinel.c019
limit := 2
deny contains sprintf("%d", [data.sentinel.c019.limit]) if input.n >= data.sentinel.c019.limit

# --- c020 a chain of rules
# input {"n": 1} => ["three"]
# input {} => []
package sentinel.c020
one if input.n == 1
two if one
three if two
deny contains "three" if three
