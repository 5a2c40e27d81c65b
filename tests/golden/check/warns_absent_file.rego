# check: --deny-warnings
package sentinel.golden

block_paths contains "/etc/sentinel-golden-absent"
