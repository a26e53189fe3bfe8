"""The initial RAM disk of an image: dracut(8) of the image itself, with its modules for a root over HTTP.

A module of ours (deploy/images/dracut) translates `imgurl=URL`, which nodeset writes, into dracut's own
words, so the same kernel arguments boot a squashfs under an overlay and an archive in memory. A statelite
image has a RAM disk of its own, which knows NFS and lays the node's own files over the root.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe

#: What no diskless node needs. systemd would read root= before our module has translated imgurl=.
OMIT = (
    "systemd dracut-systemd systemd-initrd systemd-networkd plymouth crypt lvm mdraid dmraid multipath "
    "iscsi nbd btrfs resume drm i18n pcsc tpm2-tss bluetooth"
)
ALWAYS = ("virtio_net", "virtio_pci", "e1000e")
PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Form:
    """One of the RAM disks of an image: file below its root, dracut's modules, and what may be mounted."""

    file: str
    #: `network-legacy` is the one that needs no daemon of its own: dhclient and ip.
    modules: str
    file_systems: str


STATELESS = Form("boot/initrd-stateless.gz", "network-legacy serval", "squashfs overlay")
STATELITE = Form(
    "boot/initrd-statelite.gz", "network-legacy nfs serval statelite", "squashfs overlay nfs nfs4 ext4 xfs"
)


def release(root: Path, wanted: str) -> str:
    """The kernel to boot: the one wanted, or the newest of the image. Raises DefinitionError."""
    folder = root / "lib/modules"
    found = sorted((one.name for one in folder.iterdir()), key=by_version) if folder.is_dir() else []
    if wanted and wanted not in found:
        raise DefinitionError(f"kernelver is {wanted}; the image has {', '.join(found) or 'no kernel'}")
    if not found:
        raise DefinitionError("the image has no kernel; add one to its pkglist, such as linux-image-amd64")
    return wanted or found[-1]


def kernel_file(root: Path, kernel: str) -> Path:
    """The kernel of a release, below the root. Raises DefinitionError."""
    files = (root / f"boot/vmlinuz-{kernel}", root / f"lib/modules/{kernel}/vmlinuz")
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise DefinitionError(f"the image has modules of {kernel}, but no such kernel")
    return found


def by_version(name: str) -> list[tuple[int, str]]:
    """A key that sorts 6.1.10 behind 6.1.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.+-]", name)]


def build(jail: Jail, recipe: Recipe, root: Path, kernel: str, form: Form = STATELESS) -> Path:
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
    command += ["--add", form.modules, "--omit", OMIT, "--filesystems", form.file_systems]
    command += ["--add-drivers", " ".join(dict.fromkeys((*ALWAYS, *drivers)))]
    limit = f" serval.rootlimit={recipe.rootlimit}" if recipe.rootlimit else ""
    command += ["--kernel-cmdline", f"rd.neednet=1 {interface} rd.live.overlay.overlayfs=1{limit}"]
    jail.inside(root, *command, "--kver", kernel, f"/{form.file}")
    return root / form.file
