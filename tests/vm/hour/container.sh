# A container with a file system of its own, as an engine makes one: overlay, namespaces, a cgroup named after it.
id=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
bundle=/run/containers/$id
mkdir -p "$bundle/upper" "$bundle/work" "$bundle/rootfs"
mount -t overlay overlay -o "lowerdir=/,upperdir=$bundle/upper,workdir=$bundle/work" "$bundle/rootfs"
cd "$bundle"
runc spec
jq --arg id "$id" '.process.terminal = false | .root.readonly = false | .linux.cgroupsPath = "/docker/" + $id |
    .process.args = ["/usr/bin/awk", "BEGIN { for (n = 0; n < 5; n++) { getline line < \"/etc/os-release\"; print line > \"/var/tmp/state\" } }"]' \
    config.json >config.new
mv config.new config.json
runc run "$id"
cd /
umount "$bundle/rootfs"
rm -rf "$bundle"
