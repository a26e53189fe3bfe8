#!/bin/bash
# dracut module: boots the image that imgurl= names (serval-root.sh) under the name NODE= (serval-name.sh).

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
    inst_hook cmdline 10 "$moddir/serval-root.sh"
    inst_hook pre-pivot 50 "$moddir/serval-name.sh"
    inst_script "$moddir/servalroot.sh" /sbin/servalroot
    inst_multiple tar cpio gzip
    inst_multiple -o zstd xz
}
