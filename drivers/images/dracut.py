"""The initial RAM disk of an image: dracut(8) of the image itself, with its modules for a root over HTTP.

A module of ours (deploy/images/dracut) translates `imgurl=URL`, which nodeset writes, into dracut's own
words, so the same kernel arguments boot a squashfs under an overlay and an archive in memory.
"""

import re
from pathlib import Path

from core.errors import DefinitionError
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe

#: `network-legacy` is the one that needs no daemon of its own: dhclient and ip.
MODULES = ("network-legacy", "serval")
#: What no diskless node needs. systemd would read root= before our module has translated imgurl=.
OMIT = (
    "systemd dracut-systemd systemd-initrd systemd-networkd plymouth crypt lvm mdraid dmraid multipath "
    "iscsi nbd btrfs resume drm i18n pcsc tpm2-tss bluetooth"
)
FILE_SYSTEMS = "squashfs overlay"
ALWAYS = ("virtio_net", "virtio_pci", "e1000e")
INITRD = "boot/initrd-stateless.gz"
PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


def release(root: Path, wanted: str) -> str:
    """The kernel to boot: the one wanted, or the newest of the image. Raises DefinitionError."""
    folder = root / "lib/modules"
    found = sorted((one.name for one in folder.iterdir()), key=by_version) if folder.is_dir() else []
    if wanted and wanted not in found:
        raise DefinitionError(f"kernelver is {wanted}; the image has {', '.join(found) or 'no kernel'}")
    if not found:
        raise DefinitionError("the image has no kernel; add one to its pkglist, such as linux-image-amd64")
    return wanted or found[-1]


def by_version(name: str) -> list[tuple[int, str]]:
    """A key that sorts 6.1.10 behind 6.1.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.+-]", name)]


def build(jail: Jail, recipe: Recipe, root: Path, kernel: str) -> Path:
    """Make the RAM disk; its path below the root."""
    interface = f"ip={recipe.interface}:dhcp" if recipe.interface else "ip=dhcp"
    drivers = [name.removesuffix(".ko") for name in recipe.drivers]
    for word in (*drivers, recipe.interface or "eth0"):
        if not PLAIN.fullmatch(word):
            raise DefinitionError(f"{word[:80]!r} is no name of a driver or interface")
    command = [
        "dracut",
        "--force",
        "--no-hostonly",
        "--no-hostonly-cmdline",
        "--no-early-microcode",
        "--gzip",
    ]
    command += ["--add", " ".join(MODULES), "--omit", OMIT, "--filesystems", FILE_SYSTEMS]
    command += ["--add-drivers", " ".join(dict.fromkeys((*ALWAYS, *drivers)))]
    command += ["--kernel-cmdline", f"rd.neednet=1 {interface} rd.live.overlay.overlayfs=1"]
    jail.inside(root, *command, "--kver", kernel, f"/{INITRD}")
    return root / INITRD
