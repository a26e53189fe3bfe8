"""What one server does for DHCP, whatever its daemon: interfaces, subnets, pieces of dynamic ranges.

dhcpinterfaces are xCAT's (site(5), servicenode(5)): `eth1,eth2:noboot`; `:noboot` gives no boot file.

A dynamic range is cut into one piece for each of its servers. Two servers never hold the same address, so no
lease need be known to both; and a client whose server is dead gets an address of another's piece.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from core.errors import DefinitionError
from core.netdoc import NetDoc, NetworksDoc

#: An interface and a network that it is on.
Attached = tuple[str, IPv4Network]
#: First and last address.
Range = tuple[IPv4Address, IPv4Address]
#: What Linux lets an interface be called, without what means something to a configuration file.
INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}")
NO_BOOT = "noboot"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that this server serves, with its pieces of the dynamic ranges (none: known nodes only)."""

    network: IPv4Network
    told: NetDoc
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class DhcpPlan:
    """What a DHCP server serves."""

    subnets: tuple[Subnet, ...]
    #: Interfaces that it listens on; those in `no_boot` give no boot file.
    interfaces: tuple[str, ...]
    no_boot: frozenset[str]
    lease_s: int
    #: Seconds that it waits with an offer for nodes of whose pool it is a later member; 0: none.
    reply_delay_s: int
    #: Its place among the servers of dynamic ranges, 0 first; clients that nobody knows are answered by it.
    place: int = 0


def plan(doc: NetworksDoc, server: str, attached: Sequence[Attached]) -> DhcpPlan:
    """What the host `server`, whose interfaces are on these networks, has to serve.

    Without dhcpinterfaces it is every interface on a network of the networks table. Raises DefinitionError.
    """
    asked = interfaces(of_host(doc.interfaces, server), server)
    known = [(net, IPv4Network(net.net)) for net in doc.networks]
    listening: dict[str, None] = {}
    subnets = {}
    for interface, own in attached:
        if asked and interface not in asked:
            continue
        for net, network in known:
            if network.overlaps(own):
                listening[interface] = None
                subnets[net.name] = Subnet(network, net, share(net, server))
    for net, network in known:
        if net.remote and net.remote in listening:
            subnets[net.name] = Subnet(network, net, share(net, server))
    no_boot = frozenset(name for name in listening if asked.get(name) == NO_BOOT)
    places = [_place(one.told.servers, server) for one in subnets.values() if one.ranges]
    ordered = tuple(sorted(subnets.values(), key=lambda one: one.network))
    return DhcpPlan(
        ordered, tuple(listening), no_boot, doc.lease_s, doc.reply_delay_s, min(places, default=0)
    )


def interfaces(text: str, server: str) -> dict[str, str]:
    """`eth1,eth2:noboot` as interfaces with what stands behind them. Raises DefinitionError."""
    found = {}
    for item in text.split(","):
        name, _, word = item.strip().partition(":")
        if not item.strip():
            continue
        if not INTERFACE.fullmatch(name) or word not in ("", NO_BOOT):
            raise DefinitionError(
                f"dhcpinterfaces of {server}: {item[:60]!r} is no interface (eth1, eth1:noboot)."
            )
        found[name] = word
    return found


def share(net: NetDoc, server: str) -> tuple[Range, ...]:
    """The pieces of a network's dynamic ranges that a server holds: each range is cut into equal pieces."""
    place = _place(net.servers, server)
    if place == len(net.servers):
        return ()
    cut = (
        piece(IPv4Address(first), IPv4Address(last), place, len(net.servers)) for first, last in net.ranges
    )
    return tuple(one for one in cut if one is not None)


def piece(first: IPv4Address, last: IPv4Address, place: int, parts: int) -> Range | None:
    """One of `parts` pieces of a range, counted from 0; None when it has fewer addresses than parts."""
    size = int(last) - int(first) + 1
    start, end = size * place // parts, size * (place + 1) // parts
    return (first + start, first + (end - 1)) if end > start else None


def of_host(values: Mapping[str, str], name: str) -> str:
    """The value of a host in a mapping by names, which may be written with or without domain."""
    return next((value for host, value in values.items() if same_host(host, name)), "")


def same_host(one: str, other: str) -> bool:
    """Whether two names are of one host: the host part counts, in any case of letters."""
    return one.partition(".")[0].lower() == other.partition(".")[0].lower()


def _place(servers: Iterable[str], server: str) -> int:
    """The place of a server in a list; its length when it is not there."""
    listed = list(servers)
    return next((place for place, name in enumerate(listed) if same_host(name, server)), len(listed))
