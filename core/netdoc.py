"""What servers of the cluster must know of its networks: the SERVICE document `networks` of makedhcp -n.

It is the same for all of them; each takes from it what concerns its own interfaces (core/dhcpplan.py), so
that a service node reads one row instead of half the tables.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import RequestError

#: The name of the document.
NAME = "networks"
#: The name of the document of makedns: the lines of a hosts file.
RECORDS = "names"
#: As an address: the server that says it (`<xcatmaster>` in the tables).
SELF = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class NetDoc:
    """One row of the networks table; addresses are IPv4, in their order, and SELF may stand among them."""

    name: str
    #: `10.0.0.0/16`.
    net: str
    #: An interface when the network lies behind a DHCP relay that is reached through it (`!remote!eth1`).
    remote: str = ""
    gateway: str = ""
    nameservers: tuple[str, ...] = ()
    ntpservers: tuple[str, ...] = ()
    logservers: tuple[str, ...] = ()
    domain: str = ""
    #: 0: not told.
    mtu: int = 0
    #: First and last address of each dynamic range.
    ranges: tuple[tuple[str, str], ...] = ()
    #: Who serves the ranges: networks.dhcpserver and the other members of its pools, best first.
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworksDoc:
    """All networks, and the settings of the site that DHCP and DNS servers need."""

    networks: tuple[NetDoc, ...] = ()
    #: site.domain.
    domain: str = ""
    #: site.dhcplease in seconds.
    lease_s: int = 43_200
    #: site.dhcpreplydelay: seconds that later members of a pool wait with an offer.
    reply_delay_s: int = 1
    #: site.forwarders: name servers outside of the cluster.
    forwarders: tuple[str, ...] = ()
    #: Addresses of the management node, which name servers of service nodes ask.
    master: tuple[str, ...] = ()
    #: Server → its dhcpinterfaces, `eth1,eth2:noboot`; servers without any are left out.
    interfaces: dict[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """As JSON, the same for equal documents."""
        return json.dumps(asdict(self), sort_keys=True)


def from_text(text: str) -> NetworksDoc:
    """The document that `to_text` wrote. Raises RequestError when it is none."""
    try:
        told: dict[str, Any] = json.loads(text)
        nets = tuple(_net(one) for one in told["networks"])
        lists = {key: tuple(told[key]) for key in ("forwarders", "master")}
        return NetworksDoc(**told | lists | {"networks": nets})
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"the document of the networks cannot be read: {error}") from error


def _net(told: dict[str, Any]) -> NetDoc:
    lists = {key: tuple(told[key]) for key in ("nameservers", "ntpservers", "logservers", "servers")}
    return NetDoc(**told | lists | {"ranges": tuple((first, last) for first, last in told["ranges"])})
