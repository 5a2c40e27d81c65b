# METADATA
# title: Tunnels and relays
# description: A relay elsewhere hides where traffic goes, also from a country block, which judges by address.
package sentinel.tunnel_tools

import data.sentinel.lib.programs
import data.sentinel.lib.programs.command_line

tunnels := {
	"chisel", "ngrok", "frpc", "frps", "ligolo-agent", "gost", "bore", "rathole", "cloudflared", "revsocks", "iodine", "iodined",
	"dnscat", "dnscat2", "dns2tcpc", "ptunnel", "ptunnel-ng", "tor", "torsocks", "obfs4proxy", "lyrebird", "psiphon-tunnel-core", "v2ray", "xray", "sing-box", "ss-local",
}

# METADATA
# title: Tunnel tool started
# description: Where such a tool is meant to run, allow it by its path.
# custom:
#   id: tunnel-tool-exec
#   severity: medium
#   mitre: [T1572, T1090]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in tunnels
	msg := sprintf("tunnel tool started: %s", [command_line])
}

# METADATA
# title: SSH forwards a port to the outside
# description: A reverse or dynamic forward opens this network to the other end.
# custom:
#   id: ssh-forward
#   severity: low
#   mitre: [T1572, T1021.004]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "ssh"
	some argument in input.process.args
	forwards(argument)
	msg := sprintf("ssh forward: %s", [command_line])
}

forwards(argument) if {
	startswith(argument, "-")
	not startswith(argument, "--")
	some option in ["R", "D"]
	last_option(argument, option)
}

# -R, -fNR, -R8080:host:80 and -D1080, but not an -o value or a path.
last_option(argument, option) if endswith(argument, option)

last_option(argument, option) if {
	startswith(argument, concat("", ["-", option]))
}
