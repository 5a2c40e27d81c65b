# The machine's services, as an init would start them.
mkdir -p /run/lock /run/sshd /var/lib/misc
service nginx start
service cron start
/usr/sbin/sshd
for try in $(seq 50); do
    curl --silent --fail --output /dev/null http://127.0.0.1/ && exit 0
    sleep 0.2
done
echo 'nginx does not answer' >&2
exit 1
