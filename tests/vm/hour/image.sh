#!/bin/sh
# Run by mmdebstrap when all base packages are there, with the directory of the new file system. The packages that the hour
# installs, and the sources that it builds, are fetched here, because the VM has no network.
# LOCAL and SOURCES come from tests/vm/hour/packages.
set -eu
root=$1

mkdir -p "$root/srv/packages/partial" "$root/srv/src" "$root/opt/hour"
chroot "$root" apt-get install --yes --quiet --download-only --no-install-recommends \
    -o Dir::Cache::archives=/srv/packages $LOCAL
chroot "$root" sh -c 'cd /srv/packages && rm -rf partial lock && dpkg-scanpackages --multiversion . >Packages'
echo "$LOCAL" | tr -s ' ' '\n' >"$root/srv/packages/names"
chroot "$root" sh -c "cd /srv/src && apt-get source --quiet $SOURCES && rm -f ./*.tar.* ./*.dsc"

# From here on the only packages are those on the disk.
rm -rf "$root"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' >"$root/etc/apt/sources.list"

# A user who builds and logs in with a key.
chroot "$root" useradd --create-home --shell /bin/bash ann
chroot "$root" su ann -c 'mkdir -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519 &&
    cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys'
sed 's/^/127.0.0.1 /' "$root/etc/ssh/ssh_host_ed25519_key.pub" >"$root/home/ann/.ssh/known_hosts"

# Pages, and a job each minute.
for page in $(seq 200); do
    seq "$page" 900 >"$root/var/www/html/page$page.html"
done
cat >"$root/etc/cron.d/hour" <<'END'
PATH=/usr/sbin:/usr/bin:/sbin:/bin
* * * * * root test -x /usr/sbin/logrotate && find /var/log -name '*.gz' -mtime +30 -delete && df -P / >/var/lib/misc/df
END
echo vm >"$root/etc/hostname"
printf '127.0.0.1 localhost vm\n::1 localhost\n' >"$root/etc/hosts"
