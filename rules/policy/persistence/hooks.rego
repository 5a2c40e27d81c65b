# METADATA
# title: Hooks of common tools
# description: Files that make a package manager, Python or git run a command the next time somebody uses it.
package sentinel.hooks

import data.sentinel.lib.files
import data.sentinel.lib.files.changed
import data.sentinel.lib.files.file_names
import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_container_runtime
import data.sentinel.lib.programs.by_package_manager
import data.sentinel.lib.programs.editors

package_hooks := ["/etc/apt/apt.conf", "/etc/dpkg/dpkg.cfg", "/etc/yum/pluginconf.d/", "/etc/dnf/plugins/", "/etc/pacman.d/hooks/", "/usr/share/libalpm/hooks/", "/etc/zypp/zypp.conf", "/etc/apt/sources.list", "/etc/yum.repos.d/"]

python_hooks := {"sitecustomize.py", "usercustomize.py"}

python_installers := ["pip", "uv", "poetry", "conda", "mamba", "virtualenv", "venv", "pdm", "hatch", "tox", "ensurepip"]

git_programs := {"git", "pre-commit", "lefthook", "husky"}

# METADATA
# title: Hook or source of the package manager written
# description: A command before each installation, or a new place that packages come from.
# custom:
#   id: package-hook-write
#   severity: high
#   mitre: [T1546.016, T1195.002]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	files.below(path, package_hooks)
	not programs.expected(input.process, editors)
	unexpected
	msg := sprintf("%s writes %s", [input.process.executable, path])
}

# METADATA
# title: Start-up hook of Python written
# description: sitecustomize.py, or a .pth file among packages, by something that installs none. Every Python program runs it.
# custom:
#   id: python-hook-write
#   severity: high
#   mitre: [T1546]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	python_hook(path)
	not installs_python
	unexpected
	msg := sprintf("%s writes the Python hook %s", [input.process.executable, path])
}

# METADATA
# title: Git hook written
# description: By something other than git, an editor or a manager of hooks. The next commit or push runs it.
# custom:
#   id: git-hook-write
#   severity: low
#   mitre: [T1546]
#   maturity: incubating
alert contains msg if {
	input.event.action in {"open", "create", "rename", "link", "truncate"}
	changed
	some path in file_names
	contains(path, "/.git/hooks/")
	not endswith(files.name(path), ".sample")
	not programs.name(input.process) in git_programs | editors
	unexpected
	msg := sprintf("%s writes the git hook %s", [input.process.executable, path])
}

python_hook(path) if files.name(path) in python_hooks

python_hook(path) if {
	files.extension(path) == "pth"
	some part in ["/site-packages/", "/dist-packages/"]
	contains(path, part)
}

# pip and its like are Python scripts: python3 -m pip, /usr/bin/pip, or uv itself.
installs_python if {
	some argument in input.process.args
	some installer in python_installers
	startswith(programs.base(argument), installer)
}

unexpected if {
	not by_package_manager
	not by_container_runtime
}
