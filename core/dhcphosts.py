"""From table values to the DHCP records of a node: which MAC address gets which address, and what is wrong.

The rules are xCAT's makedhcp(8): a MAC address is bound to a name, the node's own or the one behind `!`, and
the name gives the address: from hosts and nics, else from what it resolves to.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from core import ipv4
from core.bootdoc import Loader
from core.dhcpdoc import DhcpDoc, DhcpHost
from core.errors import DefinitionError
from core.fold import fold
from core.hostsfile import by_nic, node_lines
from core.ipv4 import Nets
from core.macs import Mac, parse_macs
from core.services.wanted import YES

#: `table.column` to what holds for a node.
Values = Mapping[str, str]

#: A name that DHCP can tell a client as it is (RFC 1123, one label).
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
#: noderes.netboot to loaders; a node without it gets an address and no boot file.
LOADERS = {
    "": "",
    "xnba": Loader.XNBA,
    "pxe": Loader.PXE,
    "grub2": Loader.GRUB2,
    "grub2-http": Loader.GRUB2,
    "grub2-tftp": Loader.GRUB2,
}


@dataclass(frozen=True, slots=True)
class Binding:
    """One MAC address with the name it is bound to; `ip` is empty where the tables do not tell it."""

    mac: str
    name: str
    ip: str = ""


def bindings(node: str, values: Values) -> list[Binding]:
    """The interfaces of a node, its own first, those without a lease last.

    Raises DefinitionError when it has none, or one that is no MAC address.
    """
    macs = parse_macs(values.get("mac.mac", ""), node)
    if not macs:
        raise DefinitionError(
            f"No MAC address available for {node}: chdef {node} mac=aa:bb:cc:dd:ee:ff sets it."
        )
    macs.sort(key=lambda mac: (not mac.name, mac.name != node))
    known = _addresses(node, values, macs)
    return [Binding(mac.address, mac.name, known.get(mac.name, "")) for mac in macs]


def _addresses(node: str, values: Values, macs: Collection[Mac]) -> dict[str, str]:
    """The addresses that the tables give a node's names."""
    known: dict[str, str] = {}
    if any(mac.name and mac.name != node for mac in macs):
        for line in node_lines(node, values, "", False):
            for name in line.names:
                known.setdefault(name, line.ip)
    own = values.get("hosts.ip") or _nic_address(values)
    return known | {node: own} if own else known


def _nic_address(values: Values) -> str:
    """The first address that nics.nicips gives the installnic, else the primarynic."""
    addresses = by_nic(values.get("nics.nicips", ""))
    for column in ("noderes.installnic", "noderes.primarynic"):
        if listed := addresses.get(values.get(column, "")):
            return listed[0].strip()
    return ""


def hosts(
    node: str, bound: Iterable[Binding], resolved: Mapping[str, str], within: Nets
) -> tuple[DhcpHost, ...]:
    """The records of a node; `resolved` tells addresses of names that the tables do not know.

    Raises DefinitionError for a name without an address, and for an address in no network.
    """
    found = []
    for one in bound:
        ip = one.ip or resolved.get(one.name, "")
        if one.name:
            _check(node, one.name, ip, within)
        found.append(DhcpHost(one.mac, ip, one.name))
    return tuple(found)


def _check(node: str, name: str, ip: str, within: Nets) -> None:
    if not ip:
        raise DefinitionError(
            f"{name} does not resolve and hosts.ip of {node} is not set: chdef {node} ip=ADDRESS sets it."
        )
    address = ipv4.number(ip)
    if address is None:
        raise DefinitionError(f"{name} has {ip[:60]!r}, which is no IPv4 address; DHCP needs one.")
    if address not in within:
        raise DefinitionError(
            f"{ip} of {name} is in no network of the networks table: "
            "makenetworks adds this host's, mkdef -t network another."
        )


def loader(node: str, values: Values) -> str:
    """The loader that noderes.netboot names, "" for none. Raises DefinitionError for an unknown one."""
    netboot = values.get("noderes.netboot", "")
    if netboot not in LOADERS:
        known = ", ".join(sorted(name for name in LOADERS if name))
        raise DefinitionError(f"noderes.netboot of {node} is {netboot[:40]!r}; known are {known}.")
    if LOADERS[netboot] == Loader.XNBA and not HOST_NAME.fullmatch(node):
        raise DefinitionError(
            f"{node} cannot boot with xnba, which finds its script by the host name that DHCP tells it: "
            f"letters, digits, - and _ alone. chdef {node} netboot=grub2 takes another loader."
        )
    return LOADERS[netboot]


def shared(of: Mapping[str, Iterable[Binding]]) -> dict[str, str]:
    """Nodes that have a MAC or an IP address in common with others → the sentence that names them all."""
    first: dict[str, str] = {}
    owners: dict[str, list[str]] = {}
    for node, bound in of.items():
        for one in bound:
            for item in (one.mac, one.ip):
                if item and (owner := first.setdefault(item, node)) != node:
                    owners.setdefault(item, [owner]).append(node)
    found: dict[str, str] = {}
    for item, nodes in owners.items():
        what = "MAC" if ":" in item else "IP"
        sentence = f"{fold(nodes)} have the same {what} address {item}"
        for node in nodes:
            found.setdefault(node, sentence)
    return found


def document(
    node: str, values: Values, records: tuple[DhcpHost, ...], pool: tuple[str, ...], server: str
) -> DhcpDoc:
    """The document of a node. Raises DefinitionError when its loader is not known."""
    return DhcpDoc(node, records, loader(node, values), server, pool, proxied(values))


def proxied(values: Values) -> bool:
    """Whether a DHCP proxy shall answer the node: noderes.proxydhcp, which is no unless it says yes."""
    return values.get("noderes.proxydhcp", "").lower() in YES
