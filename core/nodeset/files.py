"""The files that a boot needs, by the paths under which service nodes serve them.

What lies in site.installdir is served as `install/…`, what lies in tftpdir as `tftpboot/…`, wherever these
two are on a host. Where several forms of an image are possible there is one candidate each, best first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import DefinitionError
from core.nodeset.images import Image
from core.nodeset.words import Step

INSTALL = "install"
TFTPBOOT = "tftpboot"
#: What packimage writes, best first: a squashfs needs no memory for what is not read.
ENDS = ("sfs", "cpio.zst", "cpio.gz", "cpio.xz", "tar.zst", "tar.gz", "tar.xz")
#: What liteimg writes: beside a stateless image of the same rootimgdir, each with the kernel it belongs to.
LITE_KERNEL, LITE_INITRD, LITE_ROOT = "kernel-statelite", "initrd-statelite.gz", "rootimg-statelite"
#: The archive of that root by which it gets to service nodes, when they serve it over NFS.
LITE_PARCEL = f"{LITE_ROOT}.nfs.tar.zst"
#: Where the media of a family have kernel and initrd. {deb} is Debian's word for the architecture.
MEDIA = {
    "redhat": [("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")],
    "suse": [
        ("boot/{arch}/loader/linux", "boot/{arch}/loader/initrd"),
        ("boot/{arch}/linux", "boot/{arch}/initrd"),
    ],
    "debian": [
        (f"{folder}/{kernel}", f"{folder}/initrd.gz")
        for folder, kernel in (
            ("debian-installer/{deb}", "linux"),
            ("install/netboot/debian-installer/{deb}", "linux"),
            ("install.{short}", "vmlinuz"),  # of a DVD, on which it looks for a drive
        )
    ],
    "ubuntu": [
        ("casper/vmlinuz", "casper/initrd"),
        ("install/netboot/ubuntu-installer/{deb}/linux", "install/netboot/ubuntu-installer/{deb}/initrd.gz"),
    ],
}
DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
DEBIAN_SHORT = {"x86_64": "amd", "aarch64": "a64"}


@dataclass(frozen=True, slots=True)
class Files:
    """Paths as they are served, without a leading slash; `root` is empty where there is none."""

    kernel: str
    initrd: str
    root: str = ""

    def paths(self) -> list[str]:
        """All that must be there."""
        return [path for path in (self.kernel, self.initrd, self.root) if path]


def of_image(image: Image, installdir: str) -> tuple[Files, ...]:
    """The candidates of an osimage, best first.

    Raises DefinitionError when its directory is not below installdir, or its distribution is not known.
    """
    if image.provmethod == Step.INSTALL:
        return tuple(_of_media(image, installdir))
    folder = _rootimgdir(image, installdir)
    boot, root = (f"{folder}/kernel", f"{folder}/initrd-stateless.gz"), "rootimg"
    if image.provmethod == Step.STATELITE:
        boot, root = (f"{folder}/{LITE_KERNEL}", f"{folder}/{LITE_INITRD}"), LITE_ROOT
    if image.on_nfs:
        return (Files(*boot, f"{folder}/{root}"),)
    return tuple(Files(*boot, f"{folder}/{root}.{end}") for end in ENDS)


def _rootimgdir(image: Image, installdir: str) -> str:
    usual = f"{installdir}/netboot/{image.osvers}/{image.osarch}/{image.profile}"
    what = f"rootimgdir of osimage {image.imagename}"
    return served(image.rootimgdir or usual, installdir, INSTALL, what)


def media(image: Image, installdir: str) -> str:
    """Where the distribution's media lie, as they are served: the first of linuximage.pkgdir."""
    usual = f"{installdir}/{image.osvers}/{image.osarch}"
    named = image.pkgdir.split(",")[0].strip() or usual
    return served(named, installdir, INSTALL, f"pkgdir of osimage {image.imagename}")


def _of_media(image: Image, installdir: str) -> Iterator[Files]:
    if not image.family:
        raise DefinitionError(
            f"osimage {image.imagename}: how {image.osvers} is installed is not known; its osvers must "
            "begin with the name of a distribution, such as rocky9.4, sles15.6, debian12, ubuntu24.04"
        )
    folder = media(image, installdir)
    words = {
        "arch": image.osarch,
        "deb": DEBIAN_ARCH.get(image.osarch, image.osarch),
        "short": DEBIAN_SHORT.get(image.osarch, image.osarch),
    }
    for kernel, initrd in MEDIA[image.family]:
        yield Files(f"{folder}/{kernel.format(**words)}", f"{folder}/{initrd.format(**words)}")


def of_genesis(arch: str) -> tuple[Files, ...]:
    """The candidates of the genesis image, which shell, standby, runcmd and runimage boot."""
    base = f"{TFTPBOOT}/xcat/genesis"
    return tuple(Files(f"{base}.kernel.{arch}", f"{base}.fs.{arch}.{end}") for end in ("gz", "lzma"))


def served(path: str, below: str, word: str, what: str) -> str:
    """`/install/netboot/x` below `/install` as `install/netboot/x`. Raises DefinitionError when it is not."""
    parts = PurePosixPath(path).parts
    top = PurePosixPath(below).parts
    plain = path.isascii() and path.isprintable() and not set(path) & set(" \"'\\$;&|<>`{}()*?#%")
    if not plain or ".." in parts or parts[: len(top)] != top or len(parts) == len(top):
        raise DefinitionError(f"{what} is {path[:200]!r}; it must be a plain path below {below}")
    return "/".join((word, *parts[len(top) :]))
