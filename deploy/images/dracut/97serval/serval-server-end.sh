#!/bin/sh
# Runs last: the real system gets the kernel's arguments as they are. A /proc with something mounted in it would keep
# containers without root from having a /proc of their own; serval-status reads pxelinux's ip= itself.

[ ! -e /run/serval-cmdline ] || umount /proc/cmdline
