"""The values that `serval check` judges (core/checks), read in a few queries for any number of nodes."""

from collections.abc import Iterable
from dataclasses import replace

from core.bmcaccess import COLUMNS
from core.checks import Cluster, Member
from core.checks.naming import bmc_hosts, names_to_look_up, server_names
from core.errors import UnavailableError
from core.hostsfile import node_lines
from core.regexattr import is_regex
from core.release import RELEASE
from db import drains, members
from db.attributes import SECRET_COLUMNS
from db.definitions import read_rows
from db.engine import Connection
from db.lookup import Unreadable, effective, own_rows, site_values
from db.nodes import DatabaseNodes
from db.tables import TABLES, is_of_nodes, key_names
from drivers.interfaces import read_networks
from drivers.resolve import Resolver
from routing.liveness import Kind, Observer
from routing.pools import SERVICES

#: What the checks look at, of every node.
WANTED = {
    "nodehm": [*COLUMNS["nodehm"], "conserver"],
    "ipmi": ["bmc"],
    "openbmc": ["bmc"],
    "noderes": ["servicenode", "xcatmaster", "tftpserver", "nfsserver", "monserver"],
    "servicenode": SERVICES,
    "nodetype": ["provmethod"],
    "chain": ["currstate"],
    "mac": ["mac"],
    "hosts": ["ip"],
}
#: Where the addresses of service nodes stand.
ADDRESSES = {
    "hosts": ["ip", "hostnames", "otherinterfaces"],
    "nics": ["nicips", "nictypes", "nichostnamesuffixes", "nichostnameprefixes", "nicaliases"],
}


def gather(connection: Connection, mn: str) -> Cluster:
    """What the database says. Everything else, names and leases, is still to be looked up."""
    source = DatabaseNodes(connection)
    groups = source.nodes()
    written = _written(connection)
    unreadable: Unreadable = {}
    nodes = effective(connection, _with_columns(key for _, key in written), None, unreadable)
    service_nodes = [
        node for node, values in nodes.items() if any(key.startswith("servicenode.") for key in values)
    ]
    found = effective(connection, ADDRESSES, service_nodes, {})
    return Cluster(
        mn=mn,
        release=RELEASE,
        nodes=nodes,
        groups=groups,
        service_nodes=frozenset(service_nodes),
        site=site_values(connection),
        networks=read_rows(connection, "network"),
        membergroups=source.membergroups(),
        osimages=frozenset(read_rows(connection, "osimage")),
        written=written,
        unreadable=unreadable,
        addresses_of={
            node: [line.ip for line in node_lines(node, values, "", full_first=False)]
            for node, values in found.items()
        },
        mn_networks=_mn_networks(),
    )


def _written(connection: Connection) -> dict[tuple[str, str], str]:
    """What is written for nodes and groups, of all tables the columns in which somebody has a regex value.

    Passwords and the like are not read.
    """
    tables = {
        name: [
            column.name
            for column in table.columns
            if column.name not in key_names(table) and f"{name}.{column.name}" not in SECRET_COLUMNS
        ]
        for name, table in TABLES.items()
        if is_of_nodes(name) and name != "nodelist"
    }
    rows = own_rows(connection, tables)
    columns = {key for row in rows.values() for key, text in row.items() if is_regex(text)}
    return {(one, key): row[key] for one, row in rows.items() for key in columns & row.keys()}


def _with_columns(keys: Iterable[str]) -> dict[str, list[str]]:
    """The columns to read: those that the checks need, and these."""
    wanted = {table: list(columns) for table, columns in WANTED.items()}
    for key in sorted(set(keys)):
        table, _, column = key.partition(".")
        if column not in wanted.setdefault(table, []):
            wanted[table].append(column)
    return wanted


def _mn_networks() -> list[str]:
    try:
        return [str(one.network) for one in read_networks()]
    except UnavailableError:
        return []  # then the tables alone say where the management node is


def look_up(cluster: Cluster) -> Cluster:
    """The same with the names resolved that have to; in bounded time, servers and BMCs first."""
    needed = names_to_look_up(cluster)
    first = needed & {*server_names(cluster), *cluster.service_nodes, *bmc_hosts(cluster.nodes).values()}
    resolver = Resolver()
    addresses: dict[str, str] = {}
    late: set[str] = set()
    for names in (first, needed - first):
        addresses |= resolver.addresses(names)
        late |= resolver.late
    resolver.close()
    lost = frozenset(needed - addresses.keys() - late)
    return replace(cluster, addresses=addresses, unresolved=lost, late=frozenset(late))


def member_names(cluster: Cluster) -> list[str]:
    """Those whose leases count: the management node and all members of pools that may stand there."""
    written = {name for text in {tuple(names) for names in cluster.lists.values()} for name in text}
    return sorted({cluster.mn, *cluster.service_nodes, *(name for name in written if name in cluster.nodes)})


def with_leases(cluster: Cluster, connection: Connection, observer: Observer, now: float) -> Cluster:
    """The same with what the leases tell; `now` is the wall clock when they were last read."""
    joined = set(members.keys(connection))
    observer.drained = drains.drained(connection)
    found = {}
    for name in member_names(cluster):
        standing, lease = observer.state(name), observer.lease(name)
        given = observer.standing(name)
        found[name] = Member(
            live=standing.kind is Kind.LIVE,
            reason=standing.reason,
            release=lease.release if lease else "",
            joined=(lease.name if lease else name) in joined,
            ahead=lease.at - now if lease and lease.at else None,
            drained=given.reason if given.kind is Kind.DRAINED else "",
        )
    return replace(cluster, members=found)


def without_leases(cluster: Cluster, why: str) -> Cluster:
    """The same with the reason why the leases could not be read."""
    return replace(cluster, no_leases=why)
