#!/bin/sh
# Runs before the real system starts: it gets the name that nodeset wrote as NODE=NAME.

name=$(getarg NODE=)
if [ -n "$name" ] && ! { echo "$name" > "$NEWROOT/etc/hostname"; } 2> /dev/null; then
    # The root is only read: liteimg has left a file to mount another over.
    echo "$name" > /run/serval-hostname
    mount --bind /run/serval-hostname "$NEWROOT/etc/hostname" || warn "serval: the name $name must come from DHCP"
fi
