# Members of rules, and what is refused by name.

# --- c191 a member that says more
# input {"s": "x"} => ["x"]
package sentinel.c191
deny contains {"msg": input.s, "severity": "low", "id": "c191-own"}

# --- c192 a member made in the body
# input {"s": "x"} => ["seen x"]
package sentinel.c192
alert contains member if member := {"msg": sprintf("seen %s", [input.s]), "severity": "info"}

# --- c193 a function that asks the network
# refused `http.send` cannot be used in a policy
package sentinel.c193
deny contains "x" if http.send({"url": input.u, "method": "get"}).status_code == 200

# --- c194 a look-up of a name
# refused `net.lookup_ip_addr` cannot be used in a policy
package sentinel.c194
deny contains "x" if "203.0.113.1" in net.lookup_ip_addr(input.n)

# --- c195 chance
# refused `rand.intn` cannot be used in a policy
package sentinel.c195
deny contains "x" if rand.intn("s", 10) == 3

# --- c196 a new identifier
# refused `uuid.rfc4122` cannot be used in a policy
package sentinel.c196
deny contains uuid.rfc4122("k")

# --- c197 the runtime of OPA
# refused `opa.runtime` cannot be used in a policy
package sentinel.c197
deny contains "x" if opa.runtime().env.HOME

# --- c198 recursion
# refused recursion
package sentinel.c198
f(n) := g(n - 1) if n > 0
g(n) := f(n)
deny contains "x" if f(input.n)

# --- c199 a result without a bound
# refused `numbers.range` can give a result of any size
package sentinel.c199
deny contains "x" if input.n in numbers.range(1, input.m)

# --- c200 a function that does not exist
# refused `startwith` is neither a built-in function nor a rule
package sentinel.c200
deny contains "x" if startwith(input.s, "a")
