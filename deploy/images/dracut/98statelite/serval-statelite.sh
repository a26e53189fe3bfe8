#!/bin/sh
# Runs before the real system starts: its root gets what may be written.

if [ -e "$NEWROOT/.statelite/litefile" ]; then
    /sbin/statelite "$NEWROOT" || die "serval: the node's own files cannot be put over its root"
fi
