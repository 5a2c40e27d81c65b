# METADATA
# title: Password attacks and sniffing
# description: Tools that guess, crack, dump or overhear passwords.
package sentinel.password_attacks

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

crackers := {
	"hydra", "medusa", "ncrack", "patator", "patator.py", "john", "hashcat", "ophcrack", "crowbar", "brutespray", "thc-pptp-bruter", "mimipenguin", "mimipenguin.sh", "mimipenguin.py", "lazagne", "lazagne.py", "3snake",
	"keytabextract.py", "linikatz.sh", "swapdigger.sh", "firefox_decrypt.py", "dumpzilla.py", "unshadow",
}

sniffers := {"tcpdump", "tshark", "dumpcap", "wireshark", "ngrep", "dsniff", "ettercap", "bettercap", "mitmproxy", "mitmdump", "arpspoof", "termshark", "sshmitm"}

# METADATA
# title: Password cracker or dumper started
# description: By file name, program or script.
# custom:
#   id: password-cracker-exec
#   severity: high
#   mitre: [T1110, T1003]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	lower(input.file.name) in crackers
	msg := sprintf("password attack: %s", [command_line])
}

# METADATA
# title: Network sniffer started
# description: Administrators look at packets too.
# custom:
#   id: sniffer-exec
#   severity: low
#   mitre: [T1040]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in sniffers
	not by_network_service
	msg := sprintf("network sniffer started: %s", [command_line])
}

# METADATA
# title: Network sniffer below a server
# description: A web server, a database or PHP starts a sniffer.
# custom:
#   id: sniffer-by-network-service
#   severity: critical
#   mitre: [T1040, T1190]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in sniffers
	by_network_service
	msg := sprintf("network sniffer below a server: %s", [command_line])
}
