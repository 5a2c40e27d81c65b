# An administrator installs packages and removes them again.
apt-get update --quiet
if [ "$HOUR_SIZE" = small ]; then
    names=at
else
    # Another half each time, so that in an hour all come and go.
    names=$(awk 'NR % 2 == ENVIRON["HOUR_ROUND"] % 2' /srv/packages/names | tr '\n' ' ')
fi
apt-get install --yes --quiet --no-install-recommends $names
dpkg --audit
dpkg --verify $names || true
# It asks whether there is another way to become root.
export SUDO_FORCE_REMOVE=yes
apt-get purge --yes --quiet --autoremove $names
apt-get clean
