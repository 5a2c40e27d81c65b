# METADATA
# title: Crypto-currency miner
# description: A miner by name, by command line, by the pool it looks up or by the port it talks to.
package sentinel.crypto_miner

import data.sentinel.lib.files
import data.sentinel.lib.net
import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line

miners := {
	"xmrig", "xmrig-notls", "xmrigdaemon", "xmr-stak", "xmr-stak-rx", "minerd", "cpuminer", "cpuminer-opt", "cpuminer-multi", "minergate", "minergate-cli",
	"ccminer", "cgminer", "bfgminer", "sgminer", "ethminer", "nbminer", "lolminer", "t-rex", "phoenixminer", "gminer", "teamredminer",
	"srbminer-multi", "nanominer", "wildrig-multi", "xmrigcc", "kdevtmpfsi", "kinsing", "randomx-miner", "verus-miner", "hellminer",
}

pools := [
	"minexmr.com", "supportxmr.com", "moneroocean.stream", "nanopool.org", "hashvault.pro", "c3pool.com", "c3pool.org", "xmrpool.eu", "monerohash.com",
	"herominers.com", "2miners.com", "nicehash.com", "unmineable.com", "f2pool.com", "minergate.com", "kryptex.network", "skypool.org", "dwarfpool.com",
	"zpool.ca", "ethermine.org", "flexpool.io", "poolin.com", "viabtc.com", "zergpool.com", "rplant.xyz", "luckpool.net", "woolypooly.com", "p2pool.io",
]

# The protocol of pools and options that miners share, in lower case.
miner_options := [
	"stratum+tcp://", "stratum+ssl://", "stratum+tls://", "stratum1+", "stratum2+", "--donate-level", "--randomx-",
	"--coin=monero", "--coin monero", "--algo=rx/", "--algo rx/", "--algo=randomx", "--nicehash", "--cpu-max-threads-hint", "--rig-id",
]

# Ports that pools document for stratum and that no common service uses.
stratum_ports := {3333, 3334, 3335, 3336, 4444, 5555, 7777, 10343, 14433, 14444, 18081, 20128, 45560, 45700}

# METADATA
# title: Miner started
# description: A program with the name of a miner. The entry keeps the caller from starting this file.
# custom:
#   id: crypto-miner-exec
#   severity: high
#   mitre: [T1496.001]
#   maturity: stable
deny contains msg if {
	input.event.action == "exec"
	lower(programs.base(input.process.executable)) in miners
	msg := sprintf("miner %s started", [input.process.executable])
}

# METADATA
# title: Connection to a mining pool
# description: The address was the answer to a look-up of a pool's name. An alert, because who answers DNS could otherwise have any address blocked.
# custom:
#   id: crypto-miner-pool
#   severity: high
#   mitre: [T1496.001, T1071]
#   maturity: stable
alert contains msg if {
	input.event.action in {"connect", "send"}
	pool(lower(input.destination.domain))
	input.destination.port != 53
	msg := sprintf("%s contacts the mining pool %s", [input.process.executable, input.destination.domain])
}

# METADATA
# title: Command line of a miner
# description: The pool protocol or the options of a miner among the arguments, whatever the program is called.
# custom:
#   id: crypto-miner-command-line
#   severity: high
#   mitre: [T1496.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	text := lower(command_line)
	some option in miner_options
	contains(text, option)
	not lower(programs.base(input.process.executable)) in miners
	msg := sprintf("miner options: %s", [command_line])
}

# METADATA
# title: Dropped program talks to a stratum port
# description: The port alone says little; from a program in a world-writable directory or without a file it says enough.
# custom:
#   id: crypto-miner-dropped-program
#   severity: high
#   mitre: [T1496.001, T1571]
#   maturity: stable
alert contains msg if {
	input.event.action == "connect"
	input.destination.port in stratum_ports
	dropped(input.process.executable)
	net.public(input.destination.ip)
	msg := sprintf("%s connects to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

# METADATA
# title: Connection to a stratum port
# description: Any program to a public address on a port that pools use.
# custom:
#   id: crypto-miner-port
#   severity: low
#   mitre: [T1496.001, T1571]
#   maturity: noisy
alert contains msg if {
	input.event.action == "connect"
	input.network.transport == "tcp"
	input.destination.port in stratum_ports
	net.public(input.destination.ip)
	not dropped(input.process.executable)
	msg := sprintf("%s connects to %s on the mining port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

pool(domain) if {
	some name in pools
	domain == name
}

pool(domain) if {
	some name in pools
	endswith(domain, concat("", [".", name]))
}

dropped(path) if files.world_writable(path)

dropped(path) if files.memfd(path)

dropped(path) if files.unlinked(path)
