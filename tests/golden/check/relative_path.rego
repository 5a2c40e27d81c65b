package sentinel.golden

block_paths contains "etc/shadow"
