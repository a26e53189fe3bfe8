#!/bin/bash
# dracut module: boots the image that imgurl= names (serval-root.sh) under the name NODE= (serval-name.sh), from the
# server that answered, which pxelinux cannot put into the arguments (serval-server.sh).

check() {
    require_binaries curl || return 1
    return 255
}

depends() {
    echo network url-lib livenet dmsquash-live
}

installkernel() {
    instmods squashfs overlay loop
}

install() {
    inst_hook cmdline 05 "$moddir/serval-server.sh"
    inst_hook cmdline 10 "$moddir/serval-root.sh"
    inst_hook pre-pivot 50 "$moddir/serval-name.sh"
    inst_hook cleanup 99 "$moddir/serval-server-end.sh"
    inst_script "$moddir/servalroot.sh" /sbin/servalroot
    inst_multiple tar cpio grep gzip sed
    inst_multiple -o zstd xz
}
