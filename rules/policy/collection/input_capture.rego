# METADATA
# title: Input and screen capture
# description: Key presses, the clipboard and the screen, taken by programs that do not draw it.
package sentinel.input_capture

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line

input_readers := {
	"systemd", "systemd-logind", "systemd-udevd", "udevadm", "Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11", "mutter", "sway", "weston", "Hyprland", "gnome-kiosk",
	"acpid", "upowerd", "thermald", "libinput", "libinput-debug-events", "evtest", "input-remapper-service", "keyd", "kbd_mode", "inputattach", "brltty", "qemu-system-x86_64", "plymouthd", "seatd", "triggerhappy", "thd", "fwupd",
}

capture_tools := {"xclip", "xsel", "wl-paste", "wl-copy", "scrot", "grim", "maim", "xwd", "import", "xinput", "logkeys", "lkl", "uberkey", "arecord", "parecord"}

# METADATA
# title: Keyboard device read
# description: Events of a keyboard are read by something other than the display server and the log-in manager.
# custom:
#   id: keyboard-device-read
#   severity: high
#   mitre: [T1056.001]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	startswith(input.file.path, "/dev/input/")
	not programs.expected(input.process, input_readers)
	msg := sprintf("%s opens the input device %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Capture tool below a server
# description: A server has no screen, no clipboard and no microphone to read.
# custom:
#   id: capture-tool-by-network-service
#   severity: high
#   mitre: [T1113, T1115, T1123]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	programs.base(input.process.executable) in capture_tools
	by_network_service
	msg := sprintf("capture tool below a server: %s", [command_line])
}
