# METADATA
# title: Privileged binaries made by hand
# description: The set-user-ID bit or a file capability keeps a way back to root.
package sentinel.setuid_binary

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.command_line

# METADATA
# title: Set-user-ID bit set
# description: chmod sets the bit outside a package's own scripts. The same on a file in a world-writable directory is the usual back door.
# custom:
#   id: setuid-bit-set
#   severity: medium
#   mitre: [T1548.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "chmod"
	some argument in input.process.args
	sets_user_id(argument)
	not by_package_manager
	not by_container_runtime
	msg := sprintf("set-user-ID bit set: %s", [command_line])
}

# METADATA
# title: File capability set
# description: setcap gives a program a right of root outside a package's own scripts.
# custom:
#   id: file-capability-set
#   severity: medium
#   mitre: [T1548.001]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.name(input.process) == "setcap"
	some right in ["cap_setuid", "cap_sys_admin", "cap_sys_ptrace", "cap_sys_module", "cap_dac_override", "cap_dac_read_search", "cap_bpf", "=ep", "all"]
	contains(lower(command_line), right)
	not by_package_manager
	msg := sprintf("file capability set: %s", [command_line])
}

# METADATA
# title: Root runs a program from a world-writable directory
# description: Whoever wrote the file becomes root. Installers that unpack themselves do so too.
# custom:
#   id: root-runs-writable-file
#   severity: high
#   mitre: [T1548, T1574]
#   maturity: noisy
alert contains msg if {
	input.event.action == "exec"
	input.process.user.id == "0"
	files.world_writable(input.file.path)
	programs.base(input.process.parent.executable) in {"sudo", "su", "cron", "crond", "pkexec", "doas"}
	msg := sprintf("%s runs %s as root", [input.process.parent.executable, input.file.path])
}

# u+s, ug+s, +s, 4755, 06755: not g+s alone, not the sticky bit.
sets_user_id(mode) if {
	not startswith(mode, "-")
	not startswith(mode, "/")
	some bits in split(mode, ",")
	parts := split(bits, "+")
	count(parts) == 2
	who(parts[0])
	contains(parts[1], "s")
}

sets_user_id(mode) if {
	digits := trim_prefix(mode, "0")
	count(digits) == 4
	some first in ["4", "5", "6", "7"]
	startswith(digits, first)
	trim(digits, "01234567") == ""
}

who(letters) if letters in {"", "u", "a", "ug", "ugo", "uo"}
