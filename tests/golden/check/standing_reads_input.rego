package sentinel.golden

block_cidrs contains input.destination.ip
