package sentinel.hooks_test

import data.sentinel.fixtures as fx
import data.sentinel.hooks.alert

pth := "/usr/lib/python3/dist-packages/x.pth"

test_hook_of_apt if {
	alert == {"/usr/bin/bash writes /etc/apt/apt.conf.d/99x"} with input as fx.write("/usr/bin/bash", "/etc/apt/apt.conf.d/99x")
}

test_editor_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/nano", "/etc/apt/sources.list")
}

test_package_with_a_hook_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/dpkg", "/etc/apt/apt.conf.d/20packagekit.dpkg-new")
}

test_pth_file if {
	count(alert) == 1 with input as fx.write("/usr/bin/cp", pth)
}

test_sitecustomize if {
	count(alert) == 1 with input as fx.write("/usr/bin/python3.11", "/home/ann/.local/lib/python3.11/site-packages/usercustomize.py")
}

test_pip_passes if {
	count(alert) == 0 with input as fx.args(fx.write("/usr/bin/python3.11", pth), ["python3", "-m", "pip", "install", "-e", "."])
	count(alert) == 0 with input as fx.args(fx.write("/usr/bin/python3.11", pth), ["/usr/bin/python3", "/usr/bin/pip3", "install", "x"])
}

test_other_pth_files_pass if {
	count(alert) == 0 with input as fx.write("/usr/bin/python3.11", "/srv/model/weights.pth")
}

test_git_hook if {
	count(alert) == 1 with input as fx.write("/usr/bin/bash", "/srv/shop/.git/hooks/post-merge")
}

test_clone_passes if {
	count(alert) == 0 with input as fx.write("/usr/bin/git", "/srv/shop/.git/hooks/pre-push.sample")
	count(alert) == 0 with input as fx.write("/usr/bin/git", "/srv/shop/.git/hooks/post-checkout")
}
