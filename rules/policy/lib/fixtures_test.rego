# METADATA
# title: Events for tests
# description: Builders of the input object, shaped like the events the kernel programs deliver.
package sentinel.fixtures

import data.sentinel.lib.programs

# `caller` starts `executable`: a fork by the caller, then an exec in the child.
exec(caller, executable, args) := object.union(event("exec", process(executable, args, caller)), {
	"process": {"previous": {"executable": caller}},
	"file": file(executable),
})

# `interpreter` runs the script at `path`.
script(caller, interpreter, path) := object.union(
	exec(caller, interpreter, [interpreter, path]),
	{"file": file(path)},
)

open(executable, path) := object.union(event("open", process(executable, [executable, path], "/usr/bin/bash")), {"file": file(path)})

write(executable, path) := object.union(open(executable, path), {"file": {"write": true, "create": true}})

# A file gets another name; a hard link is told the same way.
rename(executable, path, target) := object.union(
	open(executable, path),
	{"event": {"action": "rename"}, "file": {"target_path": target}},
)

link(executable, path, target) := object.union(rename(executable, path, target), {"event": {"action": "link"}})

unlink(executable, path) := object.union(open(executable, path), {"event": {"action": "unlink"}})

connect(executable, ip, port) := object.union(event("connect", process(executable, [executable], "/usr/bin/bash")), {
	"destination": {"ip": ip, "port": port},
	"network": {"transport": "tcp", "type": family(ip)},
})

# Changes to an event.
under(base_event, executable) := object.union(base_event, {"process": {"ancestors": array.concat(
	[person(4100, executable)],
	base_event.process.ancestors,
)}})

args(base_event, list) := object.union(base_event, {"process": {"args": list}})

udp(base_event) := object.union(base_event, {"network": {"transport": "udp"}})

domain(base_event, name) := object.union(base_event, {"destination": {"domain": name}})

in_container(base_event) := object.union(base_event, {"container": {"id": "3f4e9c1b7a52"}})

started_by(base_event, executable, list) := object.union(base_event, {"process": {"parent": object.union(person(4200, executable), {"args": list})}})

event(action, subject) := {
	"@timestamp": "2026-11-22T12:00:00.000000000Z",
	"event": {"action": action},
	"host": {"name": "web-1"},
	"user": {"id": "1000"},
	"process": subject,
}

process(executable, list, caller) := object.union(person(4242, executable), {
	"args": list,
	"args_truncated": false,
	"user": {"id": "1000"},
	"group": {"id": "1000"},
	"thread": {"id": 4242},
	"start": "2026-11-22T11:59:59.000000000Z",
	"parent": object.union(person(4200, caller), {"args": [caller]}),
	"ancestors": [person(4200, caller), person(1, "/usr/lib/systemd/systemd")],
})

person(pid, executable) := {"pid": pid, "executable": executable, "name": programs.base(executable)}

file(path) := object.union(extension(programs.base(path)), {
	"path": path,
	"name": programs.base(path),
	"directory": trim_suffix(path, concat("", ["/", programs.base(path)])),
	"inode": "262401",
	"device": "254:1",
	"write": false,
	"create": false,
})

extension(name) := {"extension": parts[count(parts) - 1]} if {
	parts := split(name, ".")
	count(parts) > 1
	parts[0] != ""
} else := {}

family(ip) := "ipv6" if contains(ip, ":")

family(ip) := "ipv4" if not contains(ip, ":")
