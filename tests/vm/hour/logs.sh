# What cron does in the night: logs are rotated, temporary files removed, the package database kept.
logrotate --force /etc/logrotate.d/nginx
logrotate --force /etc/logrotate.d/apt
logrotate /etc/logrotate.conf
find /tmp /var/tmp -xdev -type f -mtime +7 -delete
run-parts --test /etc/cron.daily
/etc/cron.daily/dpkg
