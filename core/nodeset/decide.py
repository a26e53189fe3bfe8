"""What nodes boot, from their values: decided once for all with the same ones, then filled in for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.bootdoc import BootDoc, Loader, Way
from core.dhcphosts import LOADERS, proxied
from core.errors import DefinitionError
from core.nodeset import cmdline
from core.nodeset.cmdline import NODE, Place
from core.nodeset.files import Files, of_genesis, of_image
from core.nodeset.images import Image, choose
from core.nodeset.installation import Installation
from core.nodeset.words import GENESIS, IMAGES, Step, Word, to_text

Values = Mapping[str, str]
#: The candidate whose files are all there; None: no candidate is complete.
Find = Callable[[Sequence[Files]], Files | None]

#: What each loader can start; aarch64 machines have UEFI, where neither xnba's nor pxelinux's programs run.
ARCHS = {
    Loader.XNBA: ("x86_64",),
    Loader.PXE: ("x86_64",),
    Loader.GRUB2: ("x86_64", "aarch64"),
}
DISKLESS = (Step.NETBOOT, Step.STATELITE)
#: nodelist.status of a node that is to be deployed and of which nothing was heard since.
DEFINED = "defined"
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Decision:
    """What nodes with the same values boot, and what the tables say of it afterwards."""

    #: What people read: `boot`, `netboot debian12-x86_64-compute`.
    state: str
    #: What is left of the chain.
    currchain: str = ""
    #: The document without what is each node's own; None: the node has none.
    boot: BootDoc | None = None
    #: Columns of nodetype.
    nodetype: Values = field(default_factory=dict)
    #: nodelist.status; empty: as it is.
    status: str = ""
    #: How it is installed to disk; None: it is not.
    install: Installation | None = None


def decide(
    chain: Sequence[Word], node: Values, images: Mapping[str, Image], place: Place, find: Find
) -> Decision:
    """What the first word of a chain means for nodes with these values.

    Raises DefinitionError when it cannot be: no such image, not packed, no loader for it.
    """
    word, rest = chain[0], to_text(tuple(chain[1:]))
    if word.step is Step.OFFLINE:
        return Decision(OFFLINE, rest)
    if word.step in IMAGES:
        return _image(choose(word, node, images), rest, node, place, find)
    arch = node.get("nodetype.arch") or "x86_64"
    if word.step in GENESIS:
        return _genesis(word, arch, rest, node, place, find)
    way = Way.LOCAL if word.step is Step.BOOT else Way.POWEROFF
    boot = _document(str(word), way, arch, node, place)
    return Decision(str(word), rest, boot, _without_diskless(node, images) if way is Way.LOCAL else {})


def for_node(decision: Decision, node: str, macs: Sequence[str], ip: str, server: str) -> BootDoc | None:
    """The document of one node: with its MAC addresses, installnic's first, and the fixed server if any."""
    if decision.boot is None:
        return None
    arguments = decision.boot.cmdline.replace(NODE, node)
    return decision.boot.of(node, tuple(macs), ip, arguments, server)


def _image(image: Image, rest: str, node: Values, place: Place, find: Find) -> Decision:
    boot = _document(image.state, Way.IMAGE, image.osarch, node, place)
    files = find(of_image(image, place.installdir))
    if files is None:
        raise DefinitionError(_not_there(image, place))
    arguments = cmdline.of_image(image, files, place, node)
    nodetype = {
        "provmethod": image.imagename,
        "os": image.osvers,
        "arch": image.osarch,
        "profile": image.profile,
    }
    install = None
    if image.provmethod == Step.INSTALL:
        rest = rest or str(Step.BOOT)
        install = Installation(image, place, cmdline.of_installed(image, node))
    boot = replace(boot, kernel=files.kernel, initrd=files.initrd, cmdline=arguments)
    return Decision(image.state, rest, boot, nodetype, DEFINED, install)


def _not_there(image: Image, place: Place) -> str:
    folder = of_image(image, place.installdir)[0].kernel.rpartition("/")[0]
    if image.provmethod == Step.INSTALL:
        return (
            f"osimage {image.imagename}: no installer's kernel and initrd where they are looked for, such as "
            f"{folder}: copycds puts the media of {image.osvers} there"
        )
    if image.provmethod == Step.STATELITE:
        return (
            f"osimage {image.imagename}: kernel, initrd and root of its statelite form are not in {folder}: "
            f"genimage {image.imagename}; liteimg {image.imagename}"
        )
    return (
        f"osimage {image.imagename} is not packed: kernel, initrd and root image must be in {folder}: "
        f"genimage {image.imagename}; packimage {image.imagename}"
    )


def _genesis(word: Word, arch: str, rest: str, node: Values, place: Place, find: Find) -> Decision:
    boot = _document(str(word), Way.IMAGE, arch, node, place)
    files = find(of_genesis(arch))
    if files is None:
        wanted = of_genesis(arch)[0]
        raise DefinitionError(
            f"{word.step} boots the genesis image, and {wanted.kernel} and {wanted.initrd} are not there; "
            f"tftpboot stands for {boot.tftpdir} (xCAT's mknb makes these files)"
        )
    arguments = cmdline.of_genesis(str(word), place, node)
    boot = replace(boot, kernel=files.kernel, initrd=files.initrd, cmdline=arguments)
    return Decision(str(word), rest, boot, status=DEFINED)


def _document(state: str, way: Way, arch: str, node: Values, place: Place) -> BootDoc:
    loader = _loader(node, arch)
    tftpdir = node.get("noderes.tftpdir") or place.tftpdir
    return BootDoc(
        "", state, way, loader, arch, http_port=place.http_port, tftpdir=tftpdir, proxy=proxied(node)
    )


def _loader(node: Values, arch: str) -> Loader:
    """The loader that noderes.netboot names, if it can start this architecture."""
    netboot = node.get("noderes.netboot", "")
    loader = LOADERS.get(netboot)
    if not loader:
        said = f"noderes.netboot is {netboot[:40]!r}" if netboot else "noderes.netboot is not set"
        raise DefinitionError(f"{said}: chdef it netboot={'|'.join(Loader)}")
    if arch not in ARCHS[Loader(loader)]:
        fitting = [one.value for one in Loader if arch in ARCHS[one]]
        mend = f"chdef it netboot={'|'.join(fitting)}" if fitting else "no loader of Serval can"
        raise DefinitionError(f"noderes.netboot is {netboot}, which cannot boot {arch[:40]}: {mend}")
    return Loader(loader)


def _without_diskless(node: Values, images: Mapping[str, Image]) -> Values:
    """A node that boots its disk has no diskless image any more."""
    own = node.get("nodetype.provmethod", "")
    method = images[own].provmethod if own in images else own
    return {"provmethod": ""} if method in DISKLESS else {}
