# An ordinary user builds C programs from source: configure, make, the program's own test.
runuser -u ann -- bash -eu <<'END'
cd
rm -rf zlib hello
cp -r /srv/src/zlib-* zlib
cd zlib
./configure --static
if [ "$HOUR_SIZE" = small ]; then
    make adler32.o crc32.o inffast.o
else
    make libz.a example minigzip
    ./example
    cd ..
    cp -r /srv/src/hello-* hello
    cd hello
    ./configure --disable-nls --disable-dependency-tracking
    make hello
    ./hello
    make DESTDIR="$HOME/stage" install-binPROGRAMS
fi
cd
rm -rf zlib hello stage
END
