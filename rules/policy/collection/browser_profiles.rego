# METADATA
# title: Browser profiles
# description: Saved passwords and session cookies, opened by something that is no browser.
package sentinel.browser_profiles

import data.sentinel.lib.programs
import data.sentinel.lib.programs.transfer_tools

secrets := {"logins.json", "key4.db", "cookies.sqlite", "Login Data", "Cookies", "Web Data", "Local State"}

profiles := ["/.mozilla/", "/.config/google-chrome", "/.config/chromium/", "/.config/BraveSoftware/", "/.config/microsoft-edge", "/.config/vivaldi/", "/.config/opera/", "/snap/firefox/", "/snap/chromium/", "/.var/app/"]

# METADATA
# title: Browser profile read by another program
# description: Backups and desktop search read them too.
# custom:
#   id: browser-profile-read
#   severity: high
#   mitre: [T1555.003, T1539]
#   maturity: incubating
alert contains msg if {
	input.event.action == "open"
	secret
	not transfer_tool
	not browser
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

# METADATA
# title: Browser profile read by a transfer tool
# description: A tool that sends or encodes opens saved passwords or cookies. The entry keeps this tool from this file.
# custom:
#   id: browser-profile-read-by-transfer-tool
#   severity: critical
#   mitre: [T1555.003, T1539, T1048]
#   maturity: stable
deny contains msg if {
	input.event.action == "open"
	secret
	transfer_tool
	msg := sprintf("%s opens %s", [input.process.executable, input.file.path])
}

secret if {
	input.file.name in secrets
	some profile in profiles
	contains(input.file.path, profile)
}

transfer_tool if programs.base(input.process.executable) in transfer_tools

# Browsers are installed below /opt as well, which only root can write.
browser if {
	some name in ["firefox", "chrome", "chromium", "brave", "msedge", "vivaldi", "opera", "geckodriver", "plugin-container"]
	startswith(programs.base(input.process.executable), name)
	installed(input.process.executable)
}

installed(path) if programs.installed(path)

installed(path) if startswith(path, "/opt/")

installed(path) if startswith(path, "/app/")
