# A web server under load, over loopback.
requests=400
[ "$HOUR_SIZE" = full ] || requests=20
for page in 1 50 150; do
    ab -q -n "$requests" -c 4 "http://127.0.0.1/page$page.html" >/dev/null
done
ab -q -k -n "$requests" -c 2 http://127.0.0.1/ >/dev/null
for page in $(seq 20); do
    curl --silent --output /dev/null "http://localhost/page$page.html"
done
curl --silent --output /dev/null --data @/etc/services http://localhost/no-such-page
nginx -t -q && nginx -s reload
tail -n 2 /var/log/nginx/access.log
