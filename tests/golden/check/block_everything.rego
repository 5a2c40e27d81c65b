package sentinel.golden

block_cidrs contains "0.0.0.0/0"
