package sentinel.golden

deny contains "shell" if is_shell

is_shell if not is_harmless

is_harmless if not is_shell
