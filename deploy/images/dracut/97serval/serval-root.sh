#!/bin/sh
# Runs before dracut looks at root=: what nodeset wrote as imgurl=URL becomes dracut's own word for it.
# A squashfs is dracut's live root, read-only under an overlay in memory; an archive is unpacked into memory.
# What is written to the overlay lies in /run, which genimage -l limits.

limit=$(getarg serval.rootlimit=)
[ -z "$limit" ] || mount -o remount,size="$limit" /run || warn "serval: the root is not limited to $limit"
url=$(getarg imgurl=)
case "$url" in
    "") ;;
    *.sfs) root="live:$url" ;;
    *)
        netroot="serval:$url"
        root=serval
        rootok=1
        wait_for_dev -n /dev/root
        ;;
esac
