#!/bin/sh
# Runs before anything reads the kernel's arguments. pxelinux cannot put in the server that answered: it leaves
# {server} as it is and adds ip=CLIENT:SERVER:GATEWAY:NETMASK (IPAPPEND 1), which dracut would refuse. The RAM disk
# sees the arguments as the other loaders write them: with that server, and without that ip=. No lease is read, so
# this holds for every program that asks DHCP.

pxelinux=' ip=[0-9.]*:\([0-9.]*\):[0-9.]*:[0-9.]*'
if grep -qF '{server}' /proc/cmdline; then
    answered=$(sed -n "s/.*$pxelinux\( .*\)\{0,1\}\$/\1/p" /proc/cmdline)
    [ -n "$answered" ] || die "serval: the boot loader did not say which server answered: there is no ip= of pxelinux"
    sed "s/$pxelinux\( \|\$\)/ /; s/{server}/$answered/g" /proc/cmdline > /run/serval-cmdline
    mount --bind /run/serval-cmdline /proc/cmdline
fi
