# Numbers, comparisons, aggregates, types.

# --- c101 arithmetic
# input {"n": 7} => ["difference", "product", "quotient", "remainder", "sum"]
package sentinel.c101
deny contains "sum" if input.n + 1 == 8
deny contains "difference" if input.n - 8 == -1
deny contains "product" if input.n * 2 == 14
deny contains "quotient" if input.n / 2 == 3.5
deny contains "remainder" if input.n % 4 == 3

# --- c102 precedence
# input {} => ["ok"]
package sentinel.c102
deny contains "ok" if {
	1 + 2 * 3 == 7
	(1 + 2) * 3 == 9
	10 - 2 - 3 == 5
}

# --- c103 comparisons
# input {"n": 5} => ["!=", "<", "<=", ">", ">="]
package sentinel.c103
deny contains "<" if input.n < 6
deny contains "<=" if input.n <= 5
deny contains ">" if input.n > 4
deny contains ">=" if input.n >= 5
deny contains "!=" if input.n != 4

# --- c104 one and one point nothing are equal
# input {"n": 1.0} => ["same"]
# input {"n": 1} => ["same"]
package sentinel.c104
deny contains "same" if input.n == 1

# --- c105 a number is no string
# input {"n": "1"} => ["different"]
package sentinel.c105
deny contains "same" if input.n == 1
deny contains "different" if input.n != 1

# --- c106 large numbers are exact
# input {"n": 9007199254740993} => ["odd"]
package sentinel.c106
deny contains "odd" if input.n % 2 == 1

# --- c107 division by nothing is undefined
# input {"n": 0} => ["undefined"]
# input {"n": 2} => []
package sentinel.c107
deny contains "undefined" if not 1 / input.n > 0

# --- c108 sum, product, max, min, count
# input {"l": [4, 1, 3]} => ["count 3", "max 4", "min 1", "product 12", "sum 8"]
package sentinel.c108
deny contains sprintf("sum %d", [sum(input.l)])
deny contains sprintf("product %d", [product(input.l)])
deny contains sprintf("max %d", [max(input.l)])
deny contains sprintf("min %d", [min(input.l)])
deny contains sprintf("count %d", [count(input.l)])

# --- c109 sort
# input {"l": [3, 1, 2]} => ["ok"]
package sentinel.c109
deny contains "ok" if sort(input.l) == [1, 2, 3]

# --- c110 the largest of nothing is undefined
# input {"l": []} => ["none"]
package sentinel.c110
deny contains "none" if not max(input.l)

# --- c111 abs, round, ceil, floor
# input {} => ["abs", "ceil", "floor", "round"]
package sentinel.c111
deny contains "abs" if abs(-2) == 2
deny contains "round" if round(2.6) == 3
deny contains "ceil" if ceil(2.1) == 3
deny contains "floor" if floor(2.9) == 2

# --- c112 a written range
# input {"n": 3} => ["within"]
# input {"n": 9} => []
package sentinel.c112
deny contains "within" if input.n in numbers.range(1, 5)

# --- c113 to_number
# input {"s": "42"} => ["ok"]
# input {"s": "x"} => []
package sentinel.c113
deny contains "ok" if to_number(input.s) == 42

# --- c114 types
# input {"v": []} => ["array", "array"]
# input {"v": "x"} => ["string", "string"]
# input {"v": null} => ["null", "null"]
# input {"v": {}} => ["object", "object"]
# input {"v": 1} => ["number", "number"]
# input {"v": true} => ["boolean", "boolean"]
package sentinel.c114
deny contains type_name(input.v)
alert contains "array" if is_array(input.v)
alert contains "string" if is_string(input.v)
alert contains "null" if is_null(input.v)
alert contains "object" if is_object(input.v)
alert contains "number" if is_number(input.v)
alert contains "boolean" if is_boolean(input.v)

# --- c115 values of different types have an order
# input {} => ["ok"]
package sentinel.c115
deny contains "ok" if {
	null < false
	false < 0
	0 < "a"
	"a" < []
}

# --- c116 false and null
# input {"a": false, "b": null} => ["a is false", "b is there", "not a"]
package sentinel.c116
deny contains "not a" if not input.a
deny contains "a is false" if input.a == false
deny contains "b is there" if input.b == null
deny contains "never" if input.a

# --- c117 bits
# input {"n": 6} => ["and", "left", "negate", "or", "right", "xor"]
package sentinel.c117
deny contains "and" if bits.and(input.n, 2) == 2
deny contains "or" if bits.or(input.n, 1) == 7
deny contains "xor" if bits.xor(input.n, 2) == 4
deny contains "negate" if bits.negate(input.n) == -7
deny contains "left" if bits.lsh(input.n, 1) == 12
deny contains "right" if bits.rsh(input.n, 1) == 3

# --- c118 a negative number
# input {"n": -3} => ["negative"]
package sentinel.c118
deny contains "negative" if input.n == -3

# --- c119 units
# input {"s": "2KB"} => ["2000"]
package sentinel.c119
deny contains sprintf("%d", [units.parse_bytes(input.s)])

# --- c120 sum of what is computed
# input {"l": [{"n": 1}, {"n": 2}, {}]} => ["3"]
package sentinel.c120
deny contains sprintf("%d", [sum([x.n | some x in input.l])])
