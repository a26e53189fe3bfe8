"""What servers must know of the networks, from the tables networks, site, servicenode and noderes."""

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import Connection

from core.dhcpplan import interfaces, same_host
from core.errors import DefinitionError, RequestError
from core.netdoc import NetworksDoc
from core.netrows import addresses, is_ipv4, names_in, net_doc
from core.noderange import expand
from core.site import number
from db.definitions import read_rows
from db.lookup import Unreadable, effective, holding, site_values, split_list
from db.nodes import DatabaseNodes

YES = ("1", "yes", "y", "enable")
LEASE_S = 43_200
#: dnsmasq waits so many seconds to so many and one: it counts whole ones.
REPLY_DELAY_S = 1
#: A client that gets no offer for longer goes on to its next boot device.
MOST_DELAY_S = 10
#: Names to addresses, for those that resolve: drivers.resolve.Resolver.addresses.
Resolve = Callable[[Collection[str]], Mapping[str, str]]


def serving(connection: Connection, column: str, values: Collection[str] = YES) -> list[str]:
    """The service nodes whose row in servicenode has one of these values in a column, sorted."""
    found = holding(connection, {"servicenode": [column]}, {})
    return [node for node, row in found.items() if row.get(f"servicenode.{column}", "").lower() in values]


def range_servers(connection: Connection, mn: str, able: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Who serves the dynamic ranges of each network that has some, best first.

    It is networks.dhcpserver and, when that is in a pool, the pool's other DHCP servers (`able`), so that a
    range is served when one of them is dead. Without dhcpserver it is the management node.
    """
    rows = {name: row for name, row in read_rows(connection, "network").items() if row.get("dynamicrange")}
    pools: list[list[str]] = []
    if any(row.get("dhcpserver") for row in rows.values()):
        values = effective(connection, {"noderes": ["servicenode"]}, None, {})
        texts = sorted({one["noderes.servicenode"] for one in values.values() if one})
        pools = [split_list(text) for text in texts]
    found = {}
    for name, row in rows.items():
        server = next(iter(split_list(row.get("dhcpserver"))), mn)
        beside = [
            member
            for pool in pools
            if any(same_host(server, one) for one in pool)
            for member in pool
            if any(same_host(member, one) for one in able) and not same_host(member, server)
        ]
        found[name] = tuple(dict.fromkeys([server, *beside]))
    return found


def networks_doc(connection: Connection, mn: str, resolve: Resolve) -> NetworksDoc:
    """The document of makedhcp -n. Raises DefinitionError, with every row that is wrong."""
    site = site_values(connection)
    rows = {name: row for name, row in read_rows(connection, "network").items() if is_ipv4(row)}
    servers = range_servers(connection, mn, serving(connection, "dhcpserver"))
    known = _addresses(
        connection, {name for row in [*rows.values(), {}] for name in names_in(row, site)}, resolve
    )
    wrong, nets = [], []
    for name, row in rows.items():
        try:
            nets.append(net_doc(name, row, site, known, servers.get(name, ())))
        except DefinitionError as error:
            wrong.append(error.message)
    if wrong:
        raise DefinitionError("\n".join(wrong))
    return NetworksDoc(
        networks=tuple(nets),
        domain=site.get("domain", ""),
        lease_s=int(number(site, "dhcplease", LEASE_S, 60)),
        reply_delay_s=reply_delay(site),
        forwarders=addresses(site.get("forwarders", ""), "site.forwarders", known),
        master=tuple(ip for name in split_list(site.get("master")) if (ip := known.get(name))),
        interfaces=dhcp_interfaces(connection, site, mn),
    )


def reply_delay(site: Mapping[str, str]) -> int:
    """site.dhcpreplydelay in seconds. Raises RequestError when it is no whole number, or too large."""
    text = site.get("dhcpreplydelay", "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text[:4]) <= MOST_DELAY_S):
        raise RequestError(
            f"site.dhcpreplydelay is {text[:40]!r}; it must be a whole number of seconds from 0 to "
            f"{MOST_DELAY_S}. Set it with: chdef -t site clustersite dhcpreplydelay={REPLY_DELAY_S}"
        )
    return int(text or REPLY_DELAY_S)


def dhcp_interfaces(connection: Connection, site: Mapping[str, str], mn: str) -> dict[str, str]:
    """Server → its interfaces: servicenode.dhcpinterfaces, else what site.dhcpinterfaces says of it.

    site.dhcpinterfaces is `noderange|interfaces;…` (`xcatmn` is the management node), or interfaces alone,
    which are the management node's. Raises DefinitionError.
    """
    unreadable: Unreadable = {}
    found = {}
    source = DatabaseNodes(connection)
    for item in split_list_at(site.get("dhcpinterfaces", ""), ";"):
        who, mark, names = item.rpartition("|")
        nodes = [mn] if not mark or who.strip() == "xcatmn" else _expanded(who.strip(), source, mn)
        found.update(dict.fromkeys(nodes, names))
    rows = holding(connection, {"servicenode": ["dhcpinterfaces"]}, unreadable)
    for node, values in rows.items():
        found[node] = _own(values["servicenode.dhcpinterfaces"], node)
    for server, text in found.items():
        interfaces(text, server)
    return found


def _expanded(noderange: str, source: DatabaseNodes, mn: str) -> list[str]:
    found = expand(noderange, source)
    return [*found.nodes, *(name for name in found.missed if same_host(name, mn))]


def _own(text: str, node: str) -> str:
    """`eth1,eth2`, or of `sn1|eth1;sn2|eth2` what is this node's."""
    for item in split_list_at(text, ";"):
        who, mark, names = item.rpartition("|")
        if not mark or same_host(who.strip(), node):
            return names
    return ""


def _addresses(connection: Connection, names: set[str], resolve: Resolve) -> dict[str, str]:
    """Addresses of hosts: as the hosts table has them, else as they resolve."""
    values = effective(connection, {"hosts": ["ip"]}, names, {})
    told = {name: ip for name in names if (ip := values.get(name, {}).get("hosts.ip"))}
    return {**resolve(names - told.keys()), **told}


def split_list_at(text: str, mark: str) -> list[str]:
    """The items between marks, without blanks around them and without empty ones."""
    return [item.strip() for item in text.split(mark) if item.strip()]
