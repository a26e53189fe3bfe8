"""makedns, and what service nodes make of the documents that servers read on the whole (Kind.SERVICE).

`networks` (core/netdoc.py) configures DHCP and DNS; `names` are the lines of a hosts file, which the
management node and service nodes with nameserver=2 answer from. dnsmasq sees a new file of names by itself.
"""

from collections.abc import Collection, Iterable, Sequence

from core import hostsfile
from core.hostsfile import Line
from core.netdoc import NAME as NETWORKS
from core.netdoc import RECORDS, NetworksDoc
from core.services.wanted import Service
from core.wanted import Kind
from db import wanted
from db.deliveries import Said
from db.engine import Connection, one_writer, reading
from db.netvalues import YES, serving
from db.wanted import Kept
from routing import services
from routing.syncing import Hand, Order, note

#: servicenode.nameserver of a service node that holds the records itself.
SECONDARY = ("2",)
SET_UP = services.hand(frozenset({Service.NAMES, Service.DHCP, Service.PROXY_DHCP}))


def name_servers(connection: Connection, mn: str) -> tuple[str, ...]:
    """Who holds the records: the management node, and service nodes with nameserver=2."""
    return tuple(dict.fromkeys([mn, *serving(connection, "nameserver", SECONDARY)]))


def served(connection: Connection) -> bool:
    """Whether any host shall answer DNS queries at all."""
    return bool(serving(connection, "nameserver", (*YES, *SECONDARY)))


def write_networks(connection: Connection, doc: NetworksDoc, mn: str) -> None:
    """Write what servers must know of the networks, for all of them."""
    one_writer(connection)
    servers = [mn, *serving(connection, "dhcpserver"), *serving(connection, "nameserver")]
    servers += serving(connection, "nameserver", SECONDARY)
    wanted.put(connection, Kind.SERVICE, {NETWORKS: (tuple(dict.fromkeys(servers)), doc.to_text())})


def write_names(
    connection: Connection, lines: Iterable[Line], nodes: Collection[str] | None, servers: Sequence[str]
) -> None:
    """Replace the records of these nodes (None: of all) by the lines."""
    one_writer(connection)
    old = wanted.documents(connection, Kind.SERVICE, [RECORDS]).get(RECORDS, "") if nodes is not None else ""
    text = hostsfile.merge(old, lines, nodes or ())
    # A document that is empty would be none.
    wanted.put(connection, Kind.SERVICE, {RECORDS: (tuple(servers), text or "#\n")})


def take_over(order: Order) -> Said:
    """Make this host's DHCP and DNS server what the documents say."""
    with reading(order.engine) as connection:
        newest = wanted.last(connection, Kind.SERVICE)
    said = SET_UP(order)
    note(order, Kind.SERVICE, Kept(newest, said.problems))
    return said


HANDS: dict[str, Hand] = {Kind.SERVICE: take_over}
