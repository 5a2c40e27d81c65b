package sentinel.golden

block_executables contains "/bin/sh"
