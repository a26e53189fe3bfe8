"""The settings of each service, from the site and networks tables (xCAT site(5)), checked before any daemon
sees them: a value with a newline, a quote or a blank never reaches a configuration file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network

from core.errors import RequestError

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
_PATH = re.compile(r"/[A-Za-z0-9._/+@:=~-]*")
SHARED_NOT = ("0", "no", "n")
SHARED = ("", "1", "yes", "y")
#: In site.ntpservers: whoever serves the node, which for a service node is the management node.
FACING = "<xcatmaster>"


@dataclass(frozen=True, slots=True)
class Trees:
    """The two folders that nodes install and boot from, as the tables name them."""

    install: str
    tftp: str
    http_port: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a host's clock comes from, and who may ask it; nobody named means everybody."""

    servers: tuple[str, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MountWanted:
    """A folder of another host: `source` is `host:/path`; both sides are as the tables name them."""

    #: The key of the site table that asks for it.
    key: str
    source: str
    folder: str


def host(text: str, what: str) -> str:
    """A host name or address that is safe in a configuration file. Raises RequestError, naming `what`."""
    if not _HOST.fullmatch(text):
        raise RequestError(f"{what} holds {text!r}, which is no host name or address")
    return text


def path(text: str, what: str) -> str:
    """An absolute path that is safe in a configuration file. Raises RequestError, naming `what`."""
    if not _PATH.fullmatch(text) or ".." in text.split("/"):
        raise RequestError(
            f"{what} is {text!r}; it must be an absolute path of letters, digits and ._/+@:=~- without '..'"
        )
    return text


def trees(site: Mapping[str, str]) -> Trees:
    """installdir, tftpdir and httpport. Raises RequestError."""
    text = site.get("httpport", "80").strip()
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise RequestError(f"site.httpport is {text!r}; it must be a port number such as 80")
    install = path(site.get("installdir", "/install"), "site.installdir")
    return Trees(install, path(site.get("tftpdir", "/tftpboot"), "site.tftpdir"), int(text))


def clock(site: Mapping[str, str], nets: Iterable[tuple[str, str]], own: str, *, is_mn: bool) -> Clock:
    """The servers of this host's clock: site.extntpservers on the MN, site.ntpservers or the MN on an SN.

    `nets` are net and mask of the networks table, `own` is this host's name. Raises RequestError.
    """
    key = "extntpservers" if is_mn else "ntpservers"
    named = [item for item in re.split(r"[,\s]+", site.get(key, "")) if item]
    servers = [host(name, f"site.{key}") for name in named if name not in (FACING, own)]
    master = site.get("master", "").strip()
    if not is_mn and not servers and master and master != own:
        servers.append(host(master, "site.master"))
    return Clock(tuple(dict.fromkeys(servers)), tuple(str(net) for net in networks(nets)))


def networks(nets: Iterable[tuple[str, str]]) -> list[IPv4Network]:
    """The IPv4 networks among rows of the networks table; others are left to serval check."""
    found = set()
    for net, mask in nets:
        try:
            one = ip_network(f"{net}/{mask.lstrip('/')}", strict=False)
        except ValueError:
            continue
        if isinstance(one, IPv4Network):
            found.add(one)
    return sorted(found)


def install_mount(site: Mapping[str, str]) -> MountWanted | None:
    """What site.installloc asks a service node to mount on installdir. Raises RequestError."""
    place = site.get("installloc", "").strip()
    if not place:
        return None
    server, colon, folder = place.rpartition(":")
    master = server if colon else _master(site, "installloc")
    source = f"{host(master, 'site.installloc')}:{path(folder, 'site.installloc')}"
    return MountWanted("installloc", source, trees(site).install)


def tftp_mount(site: Mapping[str, str]) -> MountWanted | None:
    """What site.sharedtftp asks a service node to mount on tftpdir; without a value it is shared, as in xCAT.

    Raises RequestError.
    """
    word = site.get("sharedtftp", "").strip()
    if word.lower() in SHARED_NOT:
        return None
    server = _master(site, "sharedtftp") if word.lower() in SHARED else word
    folder = trees(site).tftp
    return MountWanted("sharedtftp", f"{host(server, 'site.sharedtftp')}:{folder}", folder)


def _master(site: Mapping[str, str], key: str) -> str:
    master = site.get("master", "").strip()
    if not master:
        raise RequestError(
            f"site.{key} asks for a mount from the management node, and site.master is not set. "
            "Set it with: chdef -t site clustersite master=NAME"
        )
    return master
