#!/bin/sh
# The handler of netroot=serval:URL: unpacks the archive there into memory, which becomes the root.
# dracut calls it with the interface, the netroot word, and where the root belongs.

command -v getarg > /dev/null || . /lib/dracut-lib.sh
command -v fetch_url > /dev/null || . /lib/url-lib.sh

url=${2#serval:}
root=${3:-$NEWROOT}

limit=$(getarg serval.rootlimit=)
mount -t tmpfs -o mode=755,size="${limit:-90%}" tmpfs "$root" || exit 1
file=$(fetch_url "$url") || die "serval: $url cannot be fetched"
case "$url" in
    *.gz) unpack="gzip -dc" ;;
    *.zst) unpack="zstd -dc" ;;
    *.xz) unpack="xz -dc" ;;
    *) die "serval: $url is no image that this RAM disk can unpack" ;;
esac
case "$url" in
    *.cpio.*) (cd "$root" && $unpack "$file" | cpio -idm --quiet) ;;
    *) $unpack "$file" | tar -xpf - -C "$root" --xattrs --xattrs-include='*' --numeric-owner ;;
esac || die "serval: $url cannot be unpacked; is there memory enough?"
rm -f "$file"
[ -e /dev/root ] || ln -s null /dev/root
