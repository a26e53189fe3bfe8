"""DHCP records from the tables mac, hosts, nics, noderes and networks: what makedhcp and nodeset write.

The rules are core/dhcphosts.py's; here is where their values come from.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from sqlalchemy import Connection, select

from core.dhcpdoc import DhcpDoc
from core.dhcphosts import Binding, Values, bindings, document, hosts, shared
from core.errors import DefinitionError
from core.ipv4 import nets
from db.lookup import Unreadable, effective, enabled
from db.tables import networks

WANTED = {
    "mac": ["mac"],
    "hosts": ["ip", "hostnames", "otherinterfaces"],
    "nics": ["nicips", "nichostnamesuffixes", "nichostnameprefixes", "nictypes", "nicaliases"],
    "noderes": ["installnic", "primarynic", "netboot", "tftpserver", "xcatmaster", "proxydhcp"],
}
#: Names to addresses, for those that resolve: drivers.resolve.Resolver.addresses.
Resolve = Callable[[Collection[str]], Mapping[str, str]]
#: Node → error class and sentence.
Hopeless = dict[str, tuple[str, str]]


def dhcp_docs(
    connection: Connection,
    nodes: Collection[str],
    pools: Mapping[str, Sequence[str]],
    resolve: Resolve = lambda names: {},
) -> tuple[dict[str, DhcpDoc], Hopeless]:
    """The records of `nodes` with their pools (best first), and what is wrong with those that get none.

    Every node of the cluster is read, so that a MAC or IP address that two of them have is found.
    """
    unreadable: Unreadable = {}
    values = effective(connection, WANTED, None, unreadable)
    bad = {node: sentence for (node, _), sentence in unreadable.items()}
    bound: dict[str, list[Binding]] = {}
    for node, row in values.items():
        try:
            bound[node] = bindings(node, row)
        except DefinitionError as error:
            bad.setdefault(node, error.message)
    bad = shared(bound) | bad
    good = [node for node in nodes if node in bound and node not in bad]
    servers = {node: _server(values[node], pools.get(node, ())) for node in good}
    known = _known(values, bound, servers, good, resolve)
    within = nets(ipv4_networks(connection))
    docs = {}
    for node in good:
        try:
            records = hosts(node, bound[node], known, within)
            server = _address(node, servers[node], known)
            docs[node] = document(node, values[node], records, tuple(pools.get(node, ())), server)
        except DefinitionError as error:
            bad[node] = error.message
    return docs, {node: ("DefinitionError", bad[node]) for node in nodes if node in bad}


def _server(values: Values, pool: Sequence[str]) -> str:
    """The server that a node without a pool is told to boot from, as the tables name it."""
    if len(pool) > 1:
        return ""
    return values.get("noderes.tftpserver") or values.get("noderes.xcatmaster", "")


def _known(
    values: Mapping[str, Values],
    bound: Mapping[str, Sequence[Binding]],
    servers: Mapping[str, str],
    nodes: Iterable[str],
    resolve: Resolve,
) -> Mapping[str, str]:
    """The addresses of names that the records of `nodes` need and their own rows do not tell."""
    asked = {one.name for node in nodes for one in bound[node] if one.name and not one.ip}
    asked |= {server for server in servers.values() if server}
    told = {name: ip for name in asked if (ip := values.get(name, {}).get("hosts.ip"))}
    return {**resolve(asked - told.keys()), **told} if asked else {}


def _address(node: str, server: str, known: Mapping[str, str]) -> str:
    if not server:
        return ""
    with suppress(AddressValueError):
        return str(IPv4Address(known.get(server, server)))
    raise DefinitionError(
        f"{node}: its server {server[:60]!r} (noderes.tftpserver or xcatmaster) has no IPv4 address."
    )


def ipv4_networks(connection: Connection) -> list[IPv4Network]:
    """The rows of the networks table that are IPv4 networks."""
    found = []
    for net, mask in connection.execute(select(networks.c.net, networks.c.mask).where(enabled(networks))):
        with suppress(ValueError):
            found.append(IPv4Network(f"{net}/{(mask or '').lstrip('/')}", strict=False))
    return found
