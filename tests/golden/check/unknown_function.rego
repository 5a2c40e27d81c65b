package sentinel.golden

deny contains "shell" if startwith(input.process.executable, "/tmp/")
