"""What of a running node does not belong into an image (xCAT's imgcapture.exlist)."""

import re
from collections.abc import Iterable, Iterator

#: What lives in memory; what is this machine's alone; what only its disk needs; secrets.
ALWAYS = (
    "./proc/*", "./sys/*", "./dev/*", "./run/*", "./tmp/*", "./var/tmp/*", "./mnt/*", "./media/*",
    "./lost+found", "./swapfile", "./swap.img", "./.autorelabel",
    "./etc/hostname", "./etc/machine-id", "./var/lib/dbus/machine-id", "./etc/ssh/ssh_host_*",
    "./var/lib/systemd/random-seed", "./etc/adjtime", "./var/lib/dhcp/*", "./var/lib/dhclient/*",
    "./var/lib/NetworkManager/*", "./etc/udev/rules.d/70-persistent-*",
    "./etc/fstab", "./etc/crypttab", "./etc/mdadm/*", "./etc/lvm/*", "./boot/grub*", "./boot/efi/*",
    "./boot/initrd*", "./boot/initramfs*",
    "./etc/network/interfaces", "./etc/network/interfaces.d/*", "./etc/netplan/*",
    "./etc/sysconfig/network-scripts/ifcfg-*", "./etc/NetworkManager/system-connections/*",
    "./root/.ssh/id_*", "./etc/krb5.keytab", "./etc/ssl/private/*", "./root/.*_history",
    "./var/log/*.log*", "./var/log/journal/*", "./var/log/messages*", "./var/log/syslog*",
    "./var/cache/apt/archives/*", "./var/cache/dnf/*", "./var/cache/yum/*", "./var/lib/apt/lists/*",
    "./var/spool/mail/*", "./var/crash/*", "./xcatpost", "./etc/serval", "./var/lib/serval/*",
)  # fmt: skip
#: File systems that keep files of this machine, by what /proc/mounts calls their source or type.
KEPT = re.compile(r"/dev/(?!loop)\S+|\S+ \S+ (zfs|btrfs)")


def left_out(mounts: str) -> Iterator[str]:
    """Patterns for what is mounted from elsewhere or lives in memory, from the text of /proc/mounts.

    The root itself stays, whatever it is: a diskless node's is in memory.
    """
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3 or KEPT.match(line):
            continue
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[1])
        if point != "/" and point.startswith("/") and point.isprintable():
            yield f".{escaped(point)}/*"


def escaped(path: str) -> str:
    """A path as a pattern that means it alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


def excluded(mounts: str, more: Iterable[str] = ()) -> list[str]:
    """All patterns, each beginning with `./`; `*` stands for slashes too."""
    return list(dict.fromkeys([*ALWAYS, *left_out(mounts), *more]))
