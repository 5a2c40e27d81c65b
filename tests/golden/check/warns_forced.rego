# check: --deny-warnings --force
package sentinel.golden

block_paths contains {"value": "/", "access": ["delete"]}
