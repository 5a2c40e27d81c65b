# Somebody logs in with a key, looks around, edits, copies a file, changes an account.
runuser -u ann -- bash -eu <<'END'
cd
ssh -o BatchMode=yes ann@127.0.0.1 'id; ls -la; ps ax | head -n 5; df -h /; date >>notes; chmod 600 notes'
scp -q -o BatchMode=yes ann@127.0.0.1:notes copy
tar -czf notes.tar.gz notes copy
rm -f copy notes.tar.gz
END
useradd --system --no-create-home --shell /usr/sbin/nologin worker
usermod --lock worker
userdel worker
ss -tln | head -n 3
ip -brief address
