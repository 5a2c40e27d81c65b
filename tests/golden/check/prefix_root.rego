package sentinel.golden

block_paths contains {"value": "/", "access": ["write"]}
