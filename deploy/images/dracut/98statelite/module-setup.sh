#!/bin/bash
# dracut module: a root that is only read, over NFS or in memory, and over it what liteimg's lists say.

check() {
    require_binaries mount.nfs || return 1
    return 255
}

depends() {
    echo nfs serval
}

installkernel() {
    instmods nfsv3 nfsv4 ext4 xfs
}

install() {
    inst_hook pre-pivot 40 "$moddir/serval-statelite.sh"
    inst_script "$moddir/statelite.sh" /sbin/statelite
    inst_multiple blkid cat chmod chown cp grep mkdir mount mv rm umount
}
