# check: --deny-warnings
package sentinel.golden

block_country contains "IR"
