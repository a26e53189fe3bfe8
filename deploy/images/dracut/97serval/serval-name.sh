#!/bin/sh
# Runs before the real system starts: it gets the name that nodeset wrote as NODE=NAME.

name=$(getarg NODE=)
if [ -n "$name" ] && ! echo "$name" > "$NEWROOT/etc/hostname"; then
    warn "serval: the root is read-only, so the name $name must come from DHCP"
fi
