package sentinel.golden

block_countries contains "Iran"
