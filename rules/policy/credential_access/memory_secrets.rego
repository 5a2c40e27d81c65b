# METADATA
# title: Secrets in memory
# description: Memory of the kernel and of other processes, read as a file.
package sentinel.memory_secrets

import data.sentinel.lib.files
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime

kernel_memory := {"/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/crash"}

kernel_readers := {"crash", "gdb", "makedumpfile", "perf", "drgn", "dmidecode", "vbetool", "biosdecode", "vpddecode", "ownership", "systemd", "kexec", "Xorg", "flashrom", "lshw", "acpidump", "x86info"}

# Tracers, profilers, sanitizers and what restores processes.
memory_readers := {"gdb", "gdbserver", "lldb", "lldb-server", "strace", "ltrace", "rr", "perf", "drgn", "criu", "py-spy", "rbspy", "bpftrace", "systemd-coredump", "gcore", "valgrind", "java", "jcmd", "delve", "dlv"}

# METADATA
# title: Memory of the kernel read
# description: /proc/kcore or /dev/mem opened by something other than a tool for crashes or firmware.
# custom:
#   id: kernel-memory-read
#   severity: high
#   mitre: [T1003, T1014]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.path in kernel_memory
	not programs.expected(input.process, kernel_readers)
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Memory of another process read
# description: /proc/PID/mem opened for reading by something that is no debugger. Writing is in process_injection.
# custom:
#   id: process-memory-read
#   severity: medium
#   mitre: [T1003.007]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	input.file.name == "mem"
	startswith(input.file.path, "/proc/")
	not input.file.write
	not own_memory
	not files.dropped(input.process.executable)
	not programs.expected(input.process, memory_readers)
	not by_container_runtime
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Memory of another process read by a dropped program
# description: A program in a world-writable directory or without a file opens the memory of another. Files below /proc have no lasting identity that an entry could hold, so it is an alert.
# custom:
#   id: process-memory-read-by-dropped-program
#   severity: critical
#   mitre: [T1003.007]
#   maturity: stable
alert contains msg if {
	input.event.action == "open"
	input.file.name == "mem"
	startswith(input.file.path, "/proc/")
	not own_memory
	files.dropped(input.process.executable)
	msg := sprintf("%s, which nobody installed, opens %s", [input.process.executable, input.file.path])
}

own_memory if input.file.path == sprintf("/proc/%v/mem", [input.process.pid])
