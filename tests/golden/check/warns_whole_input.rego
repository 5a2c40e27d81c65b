# check: --deny-warnings
package sentinel.golden

alert contains "a secret" if {
	walk(input, [_, value])
	value == "secret"
}
