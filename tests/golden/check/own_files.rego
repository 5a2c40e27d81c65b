package sentinel.golden

block_paths contains {"value": "/var/lib/sentinel/", "access": ["write"]}
