# check: --deny-warnings
package sentinel.golden

alert contains "bad" if input.destination.ip in data.lists.bad
