package sentinel.golden

block_cidrs contains "203.0.113.0/33"
