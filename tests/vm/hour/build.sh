# An ordinary user builds C programs from source: configure, make, the program's own test. One has a plain script to configure
# it, the other one made by autoconf, which takes most of the time; they take turns.
runuser -u ann -- bash -eu <<'END'
cd
rm -rf build stage
if [ "$HOUR_SIZE" = full ] && [ $((HOUR_ROUND % 2)) = 1 ]; then
    cp -r --preserve=timestamps /srv/src/hello-* build
    cd build
    ./configure --disable-nls --disable-dependency-tracking
    make
    ./hello
    make DESTDIR="$HOME/stage" install-binPROGRAMS
else
    cp -r --preserve=timestamps /srv/src/zlib-* build
    cd build
    ./configure --static
    if [ "$HOUR_SIZE" = full ]; then
        make libz.a example minigzip
        ./example
    else
        make adler32.o crc32.o inffast.o
    fi
fi
cd
rm -rf build stage
END
