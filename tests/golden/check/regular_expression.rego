package sentinel.golden

alert contains "shell" if regex.match("(sh", input.process.name)
