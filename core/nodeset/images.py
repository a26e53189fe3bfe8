"""Which osimage a node boots: the one named, its own, or the one that fits (xCAT osimage(5))."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.errors import DefinitionError
from core.images.statelite import in_memory
from core.nodeset.words import Step, Word

Values = Mapping[str, str]

METHODS = (Step.INSTALL, Step.NETBOOT, Step.STATELITE)
#: What stands in paths and in the state that people read.
PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,80}")
#: The letters that osvers begins with, by the family whose installer they have.
FAMILIES = {
    "redhat": "rhel,rhels,rh,centos,centos-stream,rocky,alma,ol,fedora,sl,anolis,openeuler",
    "suse": "sles,sle,sled,opensuse,opensuse-leap,leap",
    "debian": "debian",
    "ubuntu": "ubuntu",
}
LETTERS = re.compile(r"[a-z-]*")


@dataclass(frozen=True, slots=True)
class Image:
    """A row of osimage with what linuximage adds to it; attributes by xCAT's names, empty when not set."""

    imagename: str
    provmethod: str = ""
    osvers: str = ""
    osarch: str = ""
    profile: str = ""
    template: str = ""
    pkgdir: str = ""
    rootimgdir: str = ""
    rootfstype: str = ""
    nfsrootopts: str = ""
    addkcmdline: str = ""
    #: Whether a row of litefile keeps something of it over a boot (statelite.statemnt).
    lasting: bool = False

    @property
    def on_nfs(self) -> bool:
        """Whether the root of its nodes is on NFS."""
        return self.provmethod == Step.STATELITE and self.rootfstype != "ramdisk"

    @property
    def state(self) -> str:
        """`netboot debian12-x86_64-compute`: what chain.currstate holds."""
        return f"{self.provmethod} {self.osvers}-{self.osarch}-{self.profile}"

    @property
    def family(self) -> str:
        """A key of FAMILIES; empty for a distribution that none of them knows."""
        letters = LETTERS.match(self.osvers.lower())
        found = (family for family, names in FAMILIES.items() if letters and letters[0] in names.split(","))
        return next(found, "")


def image_of(name: str, values: Values, keeping: Collection[str] = ()) -> Image:
    """The image that these attributes of an osimage describe.

    `keeping`: images and groups of images with persistent rows in litefile.
    """
    fields = [field for field in Image.__dataclass_fields__ if field not in ("imagename", "lasting")]
    own = {"ALL", name, *(group.strip() for group in values.get("groups", "").split(","))}
    lasting = not own.isdisjoint(keeping)
    return Image(name, **{field: values.get(field, "") for field in fields}, lasting=lasting)


def choose(word: Word, node: Values, images: Mapping[str, Image]) -> Image:
    """The image that a word means for a node with these values.

    Raises DefinitionError when there is none, or when it lacks what booting it needs.
    """
    name, method = word.value, str(word.step)
    if word.step is Step.OSIMAGE and not name:
        name = method = node.get("nodetype.provmethod", "")
        if not name:
            raise DefinitionError("it has no osimage: write osimage=NAME, or chdef it provmethod=NAME")
    if method in METHODS:
        return _complete(_fitting(method, node, images))
    if name not in images:
        raise DefinitionError(
            f"Cannot find the OS image {name} in the osimage table. lsdef -t osimage lists the images"
        )
    return _complete(images[name])


def _fitting(method: str, node: Values, images: Mapping[str, Image]) -> Image:
    """The one image of this method for the node's os, arch and profile."""
    missing = [name for name in ("os", "arch", "profile") if not node.get(f"nodetype.{name}")]
    if missing:
        raise DefinitionError(
            f"{method} picks the image by os, arch and profile, and {' and '.join(missing)} is not set: "
            "chdef it, or write osimage=NAME"
        )
    os, arch, profile = (node[f"nodetype.{name}"] for name in ("os", "arch", "profile"))
    usual = f"{os}-{arch}-{method}-{profile}"
    fitting = {
        image.imagename: image
        for image in images.values()
        if (image.osvers, image.osarch, image.profile, image.provmethod) == (os, arch, profile, method)
    }
    if not fitting:
        raise DefinitionError(
            f"no osimage {usual}. Make it with: mkdef -t osimage {usual} osvers={os} osarch={arch} "
            f"profile={profile} provmethod={method}"
        )
    if usual not in fitting and len(fitting) > 1:
        raise DefinitionError(f"several osimages fit: {', '.join(sorted(fitting))}. Write osimage=NAME")
    return fitting.get(usual) or next(iter(fitting.values()))


def _complete(image: Image) -> Image:
    """The image itself, when everything is set that its state and its paths need."""
    mend = f"chdef -t osimage {image.imagename}"
    if image.provmethod not in METHODS:
        said = f"its provmethod is {image.provmethod!r}" if image.provmethod else "it has no provmethod"
        raise DefinitionError(
            f"osimage {image.imagename}: {said}: {mend} provmethod=install|netboot|statelite"
        )
    if image.provmethod == Step.STATELITE:
        in_memory(image.imagename, image.rootfstype)
    for name in ("osvers", "osarch", "profile"):
        value = getattr(image, name)
        if not PLAIN.fullmatch(value):
            said = f"{name} is {value[:80]!r}" if value else f"{name} is not set"
            raise DefinitionError(f"osimage {image.imagename}: {said}: {mend} {name}=…")
    return image
