"""Kernel arguments: where the image or the installer's answers are, the console, and what the tables add.

`{server}` stays for the loader to fill in with the server that answered, `{node}` for each node. What the
initial RAM disk reads: SERVAL=SERVER:PORT (where the node reports to), NODE=NAME, imgurl=URL, and for a
statelite node STATEMNT=HOST:/FOLDER and MNTOPTS=OPTIONS (where what it keeps lies).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.autoinst.document import answers_path
from core.bootdoc import SERVER
from core.errors import DefinitionError
from core.images.statelite import EVERY, mount_options
from core.images.statelite import place as nfs_place
from core.nodeset.files import INSTALL, Files, media
from core.nodeset.images import Image
from core.nodeset.words import Step

Values = Mapping[str, str]

#: Stands for the node's name until a document is made for it.
NODE = "{node}"
#: addkcmdline: behind this a word is for the installed system only.
LATER = "R::"
PORT = re.compile(r"\d{1,3}|tty[A-Za-z]{1,8}\d{1,3}")
SPEED = re.compile(r"\d{3,7}")
HARD_FLOW = ("hard", "cts", "ctsrts")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
#: The kernel reads 2,048 letters; loaders add some, and node and server are filled in.
LONGEST = 1800


@dataclass(frozen=True, slots=True)
class Place:
    """Where nodes of one kind get things from. Hosts may be `{server}`."""

    #: site.installdir, site.tftpdir, site.httpport.
    installdir: str = "/install"
    tftpdir: str = "/tftpboot"
    http_port: int = 80
    #: Port that nodes report their status to (site.xcatiport).
    report_port: int = 3002
    #: noderes.nfsserver and xcatmaster of a node without a pool.
    files_from: str = SERVER
    reports_to: str = SERVER

    def url(self, path: str) -> str:
        """The URL of a served path."""
        return f"http://{self.files_from}:{self.http_port}/{path}"


def place_of(usual: Place, node: Values) -> Place:
    """The same for a node without a pool: the servers that noderes names. Raises DefinitionError."""
    hosts = {name: node.get(f"noderes.{name}", "") for name in ("xcatmaster", "nfsserver")}
    for name, host in hosts.items():
        if host and not HOST.fullmatch(host):
            raise DefinitionError(f"noderes.{name} is {host[:80]!r}; it must be one host name or address")
    master = hosts["xcatmaster"] or usual.reports_to
    return replace(usual, reports_to=master, files_from=hosts["nfsserver"] or master)


def of_image(image: Image, files: Files, place: Place, node: Values) -> str:
    """The arguments for an osimage. Raises DefinitionError for values that cannot stand there."""
    if image.provmethod == Step.INSTALL:
        words = [*_installer(image, place), *_identity(place)]
    else:
        root = _nfs_root(image, files, place) if image.on_nfs else f"imgurl={place.url(files.root)}"
        words = [root, *_identity(place), *_lasting(image, place, node)]
    return _joined(words, node, image.addkcmdline, f"addkcmdline of osimage {image.imagename}")


def of_installed(image: Image, node: Values) -> str:
    """The arguments of the system that is installed: the console, and what addkcmdline has behind R::.

    Raises DefinitionError.
    """
    words = _console(node)
    for text, what in (
        (image.addkcmdline, f"addkcmdline of osimage {image.imagename}"),
        (node.get("bootparams.addkcmdline", ""), "bootparams.addkcmdline"),
    ):
        words += [word.removeprefix(LATER) for word in _split(text, what) if word.startswith(LATER)]
    return " ".join(words)


def of_genesis(state: str, place: Place, node: Values) -> str:
    """The arguments for the genesis image, which does what `state` says."""
    return _joined([f"destiny={state}", *_identity(place)], node)


def _identity(place: Place) -> list[str]:
    return [f"SERVAL={place.reports_to}:{place.report_port}", f"NODE={NODE}"]


def _installer(image: Image, place: Place) -> list[str]:
    """How each family's installer finds its media and its answers."""
    tree = media(image, place.installdir)
    answers = place.url(f"{INSTALL}/{answers_path(image.family, NODE)}")
    match image.family:
        case "redhat":
            return [f"inst.repo={place.url(tree)}", f"inst.ks={answers}", "ip=dhcp"]
        case "suse":
            return [f"install={place.url(tree)}", f"autoyast={answers}", "ifcfg=*=dhcp"]
        case "debian":
            return ["auto=true", "priority=critical", f"url={answers}", f"hostname={NODE}", "interface=auto"]
        case _:
            root = f"{place.files_from}:{place.installdir}{tree.removeprefix(INSTALL)}"
            nfs = ["boot=casper", "netboot=nfs", f"nfsroot={root}", "ip=dhcp"]
            return [*nfs, "autoinstall", f"ds=nocloud-net;s={answers}/"]


def _nfs_root(image: Image, files: Files, place: Place) -> str:
    """Where dracut finds the root; service nodes serve NFS version 4."""
    folder = f"{place.installdir}{files.root.removeprefix(INSTALL)}"
    options = mount_options(image.nfsrootopts, f"nfsrootopts of osimage {image.imagename}")
    found = ",".join(dict.fromkeys(["ro", *filter(None, options.split(","))]))
    return f"root=nfs4:{place.files_from}:{folder}:{found}"


def _lasting(image: Image, place: Place, node: Values) -> list[str]:
    """Where a statelite node keeps what lasts. Raises DefinitionError when that is nowhere."""
    if image.provmethod != Step.STATELITE:
        return []
    where = node.get("statelite.statemnt", "")
    if not where or node.get("statelite.image", "") not in (*EVERY, image.imagename):
        if image.lasting:
            raise DefinitionError(
                f"osimage {image.imagename} has persistent rows in litefile, and statelite.statemnt does not "
                "say where they are kept: chtab node=NODE|GROUP statelite.statemnt=HOST:/FOLDER"
            )
        return []
    servers = {"node": NODE, "noderes.xcatmaster": place.reports_to, "noderes.nfsserver": place.files_from}
    words = [f"STATEMNT={nfs_place(where, 'statelite.statemnt', servers)}"]
    if options := mount_options(node.get("statelite.mntopts", ""), "statelite.mntopts"):
        words.append(f"MNTOPTS={options}")
    return words


def _joined(words: list[str], node: Values, added: str = "", what: str = "") -> str:
    own = _added(node.get("bootparams.addkcmdline", ""), "bootparams.addkcmdline")
    found = " ".join(word for word in (*words, *_console(node), *_added(added, what), *own) if word)
    if len(found) > LONGEST:
        raise DefinitionError(
            f"its kernel arguments are {len(found)} letters long, more than fit: shorten addkcmdline"
        )
    return found


def _added(text: str, what: str) -> list[str]:
    """The words of an addkcmdline that the kernel gets now."""
    return [word for word in _split(text, what) if not word.startswith(LATER)]


def _split(text: str, what: str) -> list[str]:
    if not (text.isascii() and text.isprintable()) or "\\" in text:
        raise DefinitionError(f"{what} is {text[:80]!r}; kernel arguments are ASCII in one line, without \\")
    return text.split(" ")


def _console(node: Values) -> list[str]:
    """`console=` of a serial port, when nodehm or the site names one."""
    port = node.get("nodehm.serialport", "")
    if not port:
        return []
    if not PORT.fullmatch(port):
        raise DefinitionError(
            f"nodehm.serialport is {port[:40]!r}; it is a number, or a name such as ttyAMA0"
        )
    speed = node.get("nodehm.serialspeed", "")
    if not SPEED.fullmatch(speed):
        said = f"nodehm.serialspeed is {speed[:40]!r}" if speed else "nodehm.serialspeed is not set"
        raise DefinitionError(f"serialport is {port} and {said}: chdef it serialspeed=115200")
    device = f"ttyS{port}" if port.isdigit() else port
    flow = "n8r" if node.get("nodehm.serialflow", "") in HARD_FLOW else ""
    return ["console=tty0", f"console={device},{speed}{flow}"]
