"""makedhcp: who serves DHCP to whom, and what is written for them (xCAT makedhcp(8), site(5) disjointdhcps).

The members of a node's pool answer it, the first one first. With disjointdhcps=0 every DHCP server knows
every node; with 1 only those that serve a dynamic range do, besides the pool. Who knows a node without being
in its pool leaves it alone and gives it no dynamic address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.dhcpdoc import from_text
from core.dhcpplan import same_host
from core.wanted import Kind
from db import wanted
from db.dhcpvalues import dhcp_docs
from db.engine import Connection, one_writer
from db.home import Home
from db.lookup import effective, site_values
from db.netvalues import YES, Resolve, range_servers, serving
from routing.pools import members, pools_of

#: No service node has a document.
GONE: wanted.Entry = ((), "")


@dataclass(slots=True)
class Plan:
    """What makedhcp shall do; every node asked for is in `entries` or in `hopeless`."""

    #: node → who shall have its document, and the document.
    entries: dict[str, wanted.Entry] = field(default_factory=dict)
    #: node → the members of its pool that serve DHCP, best first: these must be ready.
    pools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Servers that know every node besides.
    also: tuple[str, ...] = ()
    hopeless: dict[str, tuple[str, str]] = field(default_factory=dict)


def others(connection: Connection, mn: str) -> tuple[str, ...]:
    """The DHCP servers that know every node, whatever its pool."""
    able = serving(connection, "dhcpserver")
    if site_values(connection).get("disjointdhcps", "").lower() not in YES:
        return tuple(able)
    ranges = range_servers(connection, mn, able).values()
    return tuple(dict.fromkeys(server for servers in ranges for server in servers))


def dhcp_members(
    connection: Connection, pools: Mapping[str, Sequence[str]], mn: str
) -> dict[str, tuple[str, ...]]:
    """Who shall have the DHCP document of each node: its pool, then the others that must know it."""
    beside = others(connection, mn)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for pool in {tuple(pool) for pool in pools.values()}:
        strangers = [name for name in beside if not any(same_host(name, member) for member in pool)]
        found[pool] = (*pool, *strangers)
    return {node: found[tuple(pool)] for node, pool in pools.items()}


def plan(connection: Connection, nodes: Sequence[str], home: Home, resolve: Resolve) -> Plan:
    """The documents of these nodes, and what is wrong with those that get none."""
    known = pools_of(connection, nodes, home.mn)
    pools = known.lists()
    docs, bad = dhcp_docs(connection, list(pools), pools, resolve)
    made = Plan(also=others(connection, home.mn), hopeless=dict(known.hopeless) | bad)
    able = [*serving(connection, "dhcpserver"), home.mn]
    proxies = serving(connection, "proxydhcp")
    having = dhcp_members(connection, pools, home.mn)
    for node, doc in docs.items():
        answering = [*able, *proxies] if doc.proxy else able
        ready = tuple(name for name in pools[node] if any(same_host(name, one) for one in answering))
        if ready:
            made.pools[node] = ready
            made.entries[node] = having[node], doc.to_text()
        else:
            made.hopeless[node] = ("NodeError", unserved(pools[node]))
    return made


def removal(connection: Connection, nodes: Sequence[str], home: Home) -> Plan:
    """Who has records of these nodes and shall lose them."""
    had = wanted.members_of(connection, Kind.DHCP, nodes)
    having = {node: had[node] if had.get(node) else (home.mn,) for node in nodes}
    return Plan(dict.fromkeys(nodes, GONE), having)


def outdated(connection: Connection, mn: str) -> set[str]:
    """Nodes whose documents name another pool than the tables do."""
    there = effective(connection, {"noderes": ["servicenode"]}, None, {})
    docs = wanted.documents(connection, Kind.DHCP, there)
    pools = pools_of(connection, list(docs), mn).of
    return {node for node, pool in pools.items() if from_text(docs[node]).pool != tuple(members(pool))}


def write(connection: Connection, made: Plan) -> None:
    """Write the documents that differ; those of nodes that were removed go."""
    one_writer(connection)
    gone = dict.fromkeys(wanted.strangers(connection, Kind.DHCP), GONE)
    wanted.put(connection, Kind.DHCP, {**gone, **made.entries})


def unserved(pool: Sequence[str]) -> str:
    """The sentence about a node whose pool serves no DHCP."""
    names = ",".join(pool)
    return (
        f"none of its service nodes {names} serves DHCP: chdef {names} setupdhcp=1, then makedhcp -n; or, "
        "where others give the addresses, setupproxydhcp=1 with supportproxydhcp=yes of the node"
    )
