# METADATA
# title: Process injection tools
# description: Debuggers attached to running processes read their memory and change their course.
package sentinel.process_injection

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.command_line

debuggers := {"gdb", "lldb", "strace", "ltrace", "gcore", "reptyr", "memdump", "procdump"}

# METADATA
# title: Debugger attached to a running process
# description: Administrators do so too. Attaching to a log-in or key process is the way to passwords.
# custom:
#   id: debugger-attached
#   severity: medium
#   mitre: [T1055.008, T1003.007]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	name := programs.name(input.process)
	name in debuggers
	attaches(name)
	msg := sprintf("debugger attached: %s", [command_line])
}

# METADATA
# title: Memory of another process opened
# description: /proc/PID/mem opened for writing is injection without ptrace.
# custom:
#   id: process-memory-write
#   severity: high
#   mitre: [T1055.009]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	input.file.name == "mem"
	input.file.write
	startswith(input.file.path, "/proc/")
	not own_memory
	not programs.expected(input.process, debuggers)
	not by_container_runtime
	msg := sprintf("%s opens %s for writing", [input.process.executable, input.file.path])
}

attaches(_) if {
	some argument in input.process.args
	attach_option(argument)
}

attaches(name) if name in {"gcore", "reptyr", "memdump", "procdump"}

attach_option(argument) if argument in {"-p", "--pid", "--attach"}

attach_option(argument) if startswith(argument, "--pid=")

attach_option(argument) if {
	startswith(argument, "-p")
	trim(trim_prefix(argument, "-p"), "0123456789") == ""
}

own_memory if input.file.path == sprintf("/proc/%v/mem", [input.process.pid])
