# check: --deny-warnings
package sentinel.golden

alert contains "root" if input.user.name == "root"
