"""What `serval check` looks at, as plain values, and what it finds.

The rules themselves are the other modules of this package; `routing/checkup.py` reads the values.
"""

import re
import shlex
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

from core.fold import fold

#: `table.column` to what holds for a node.
Values = Mapping[str, str]
Network = IPv4Network | IPv6Network
Reason = TypeVar("Reason", bound=Hashable)

#: What a shell leaves alone, with the brackets of a folded noderange.
PLAIN_WORD = re.compile(r"[A-Za-z0-9_.,:+@%/=\[\]-]+")


class Level(StrEnum):
    """How bad a finding is."""

    #: Something does not work, or will not when a service node fails.
    ERROR = "error"
    #: It may be meant so.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: what it is about (folded nodes, or an object), and the command that mends it."""

    level: Level
    about: str
    sentence: str
    mend: str


@dataclass(frozen=True, slots=True)
class Member:
    """A management or service node as its lease shows it."""

    #: Whether work can be sent to it, and if not why.
    live: bool
    reason: str = ""
    #: Serval's version there; "" when there is no lease.
    release: str = ""
    #: Whether its public key is in the database.
    joined: bool = True
    #: Seconds that its clock is ahead of this host's; None when its lease does not tell.
    ahead: float | None = None
    #: Why people drained it; "" when they did not.
    drained: str = ""


@dataclass(frozen=True)
class Cluster:
    """The values. Names are as written in the tables."""

    #: This management node, and its release.
    mn: str = "mn1"
    release: str = ""
    #: Effective values of every node, regexes applied, and its groups.
    nodes: Mapping[str, Values] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Nodes with a servicenode row.
    service_nodes: frozenset[str] = frozenset()
    site: Mapping[str, str] = field(default_factory=dict)
    #: Rows of the networks table by name: column to value.
    networks: Mapping[str, Values] = field(default_factory=dict)
    #: nodegroup.membergroups of every group that has some.
    membergroups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    osimages: frozenset[str] = frozenset()
    #: (node or group, `table.column`) to the value as it is written, of columns with a regex value somewhere.
    written: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: (node, `table.column`) to the sentence that says why its value cannot be read.
    unreadable: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: Names that were looked up: those with an address, those without, those that nobody answered in time.
    addresses: Mapping[str, str] = field(default_factory=dict)
    unresolved: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    #: Every address that the tables give a service node.
    addresses_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Networks that this host is on, as `10.0.0.0/8`.
    mn_networks: Sequence[str] = ()
    #: Members of pools by their names; empty when the leases were not read, with the reason.
    members: Mapping[str, Member] = field(default_factory=dict)
    no_leases: str = ""

    @cached_property
    def lists(self) -> dict[str, list[str]]:
        """noderes.servicenode of every node that has one, as a list."""
        written = ((node, values.get("noderes.servicenode")) for node, values in self.nodes.items())
        return {node: names for node, text in written if text and (names := listed(text))}

    @cached_property
    def pooled(self) -> dict[str, list[str]]:
        """Those of the lists that are pools: more than one service node."""
        return {node: names for node, names in self.lists.items() if len(names) > 1}

    @cached_property
    def subnets(self) -> dict[str, Network]:
        """The networks table as networks, by name; rows that are none are left out."""
        found = {}
        for name, row in self.networks.items():
            try:
                found[name] = ip_network(f"{row.get('net')}/{row.get('mask', '').lstrip('/')}", strict=False)
            except ValueError:
                continue
        return found

    @cached_property
    def known(self) -> set[str]:
        """The short names that may stand in a pool: service nodes and this management node."""
        return {short(name) for name in (*self.service_nodes, self.mn)}

    def address(self, name: str) -> str:
        """The address of a node or host: hosts.ip, else what its name resolves to, else ""."""
        return self.nodes.get(name, {}).get("hosts.ip") or self.addresses.get(name, "")


def listed(text: str | None) -> list[str]:
    """The items of a comma separated value, each once."""
    return list(dict.fromkeys(item.strip() for item in (text or "").split(",") if item.strip()))


def short(name: str) -> str:
    """The host part of a name, in lower case."""
    return name.partition(".")[0].lower()


def gathered(pairs: Iterable[tuple[Reason, str]]) -> list[tuple[Reason, str]]:
    """Every reason once, with all its nodes folded: (reason, node) pairs in, (reason, nodes) out."""
    found: dict[Reason, list[str]] = {}
    for reason, node in pairs:
        found.setdefault(reason, []).append(node)
    return [(reason, fold(nodes)) for reason, nodes in found.items()]


def word(text: str) -> str:
    """A value as one word of a shell's command line."""
    return text if PLAIN_WORD.fullmatch(text) else shlex.quote(text)


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is; None when it is none, or one of the host itself."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else address
