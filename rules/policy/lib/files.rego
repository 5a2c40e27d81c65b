# METADATA
# title: What kind of file access is this
# description: Directories and kinds of access that several policies ask about.
package sentinel.lib.files

temporary(path) if startswith(path, "/tmp/")

temporary(path) if startswith(path, "/var/tmp/")

# Nothing below /dev is a program; /dev/shm and /dev/mqueue are writable by everyone.
device_tree(path) if startswith(path, "/dev/")

world_writable(path) if temporary(path)

world_writable(path) if device_tree(path)

# The file changes, or a name for it appears. Opens say so in file.write; the other kinds are changes by nature.
changed if input.file.write

changed if input.event.action in {"create", "rename", "link", "unlink", "truncate"}

# The names that an event is about: that of its file, and of a rename or a hard link the new one too.
file_names contains input.file.path

file_names contains input.file.target_path

# The last part of a path.
name(path) := parts[count(parts) - 1] if parts := split(path, "/")

# What follows the last dot of the name, if something stands before it.
extension(path) := parts[count(parts) - 1] if {
	parts := split(name(path), ".")
	count(parts) > 1
	parts != ["", parts[1]]
}

below(path, directories) if {
	some directory in directories
	startswith(path, directory)
}

# A memfd, or a file that had no name left when it was executed.
memfd(path) if startswith(path, "/memfd:")

unlinked(path) if {
	endswith(path, " (deleted)")
	not memfd(path)
}

# Where a program lies that nobody installed.
dropped(path) if world_writable(path)

dropped(path) if memfd(path)

dropped(path) if unlinked(path)
