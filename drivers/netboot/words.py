"""What may stand in a boot file: every value of a document is checked here before any loader writes it.

Tables are typed by people, and a boot file has its own syntax: a line break, a quote or a `$` in a kernel
argument must never become a command. What a loader cannot carry unchanged is refused by name; nothing is
dropped in silence.
"""

import re

from core import ipv4
from core.bootdoc import SERVER, BootDoc, Way
from core.errors import NodeError

#: The kernel's limit (COMMAND_LINE_SIZE 2048) less what loaders add: BOOTIF, ip=, the server's name.
CMDLINE_LIMIT = 1920

_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
#: What could be a name, as long as it goes.
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATH = re.compile(r"(tftpboot|install)(/[A-Za-z0-9_+@~=][A-Za-z0-9._+@~=-]*)+")
_PRINTABLE = re.compile(r"[ -~]*")


def check(doc: BootDoc) -> None:
    """Raises NodeError with the first value that no boot file can hold."""
    if not _NODE.fullmatch(doc.node) or ".." in doc.node:
        raise NodeError(f"{doc.node!r} is no name for a boot file: letters, digits, '.', '_' and '-' only")
    for mac in doc.macs:
        if not _MAC.fullmatch(mac):
            raise NodeError(f"{mac!r} is no MAC address: mac.mac should be like 52:54:00:12:34:56")
    if doc.ip:
        hex_ip(doc.ip)
    if doc.server and not _HOST.fullmatch(doc.server):
        raise NodeError(f"{doc.server!r} is no host name or IPv4 address for a boot server")
    if not 0 < doc.http_port < 65536:
        raise NodeError(f"site.httpport {doc.http_port} is no port")
    _check_text("its state", doc.state)
    if doc.way is Way.IMAGE:
        _check_image(doc)


def _check_image(doc: BootDoc) -> None:
    for what, path in (("kernel", doc.kernel), ("initrd", doc.initrd)):
        if not _PATH.fullmatch(path):
            raise NodeError(
                f"{path!r} is no path of a {what}: it should be like install/netboot/OS/ARCH/PROFILE/{what}"
            )
    _check_text("a kernel argument", doc.cmdline)
    if len(doc.cmdline) > CMDLINE_LIMIT:
        raise NodeError(
            f"the kernel arguments are {len(doc.cmdline)} characters long, the kernel reads {CMDLINE_LIMIT}: "
            "shorten addkcmdline"
        )
    for word in doc.cmdline.split():
        if word.startswith("initrd="):
            raise NodeError(f"{word} cannot be a kernel argument: the boot loader itself says initrd=")


def _check_text(what: str, text: str) -> None:
    if not _PRINTABLE.fullmatch(text):
        bad = next(char for char in text if not _PRINTABLE.fullmatch(char))
        raise NodeError(f"{what} has the character {bad!r}, which no boot file can hold")
    if "\\" in text:
        raise NodeError(f"{what} has a backslash, which boot loaders read as their own: {text}")


def refuse(doc: BootDoc, loader: str, bad: str) -> None:
    """Raises NodeError when a text of the document holds `bad`, which means something to this loader."""
    for text in (doc.state, doc.cmdline if doc.way is Way.IMAGE else ""):
        if bad in text:
            raise NodeError(f"{loader} cannot carry {bad} in: {text}")


def hex_ip(ip: str) -> str:
    """`10.0.0.1` as `0A000001`, the name that pxelinux and grub look for. Raises NodeError."""
    address = ipv4.number(ip)
    if address is None:
        raise NodeError(f"{ip!r} is no IPv4 address")
    return f"{address:08X}"


def mac_names(doc: BootDoc) -> list[str]:
    """`01-52-54-00-12-34-56` for each MAC: hardware type Ethernet, then the address."""
    return ["01-" + mac.replace(":", "-") for mac in doc.macs]


def address_names(doc: BootDoc) -> list[str]:
    """The names by which a loader finds the file of this machine. Raises NodeError when there is none."""
    names = mac_names(doc) + ([hex_ip(doc.ip)] if doc.ip else [])
    if not names:
        raise NodeError(
            f"{doc.loader} finds its file by MAC or IP address, and neither is known: set mac.mac"
        )
    return names


def filled(text: str, doc: BootDoc, server: str, node: str) -> str:
    """The text with the server that answered, and the node's own name, in the loader's words.

    A name that is written as a variable makes the texts of one profile's nodes equal: they share a file.
    """

    def own(name: re.Match[str]) -> str:
        return node if name[0] == doc.node else name[0]

    pieces = text.split(SERVER)
    return (doc.server or server).join(
        _NAME.sub(own, piece) if doc.node in piece else piece for piece in pieces
    )


def has_word(cmdline: str, key: str) -> bool:
    """Whether the kernel arguments set `key` already."""
    return any(word.startswith(f"{key}=") for word in cmdline.split())


def tftp_path(path: str) -> str:
    """A path of a document as TFTP serves it; `install` is a link to installdir in tftpdir."""
    return path.removeprefix("tftpboot/")
