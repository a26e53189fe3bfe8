"""Whether nodes are on a network of one of their service nodes, as the tables have it."""

from collections.abc import Mapping, Sequence

from core import ipv4
from core.checks.cluster import Cluster, Network, parsed, short
from core.checks.networks import networks_of
from core.hostsfile import node_lines
from core.ipv4 import Nets
from db.definitions import read_rows
from db.engine import Connection
from db.lookup import effective
from routing.checkup import ADDRESSES

#: networks.mgtifname of a network behind a DHCP relay.
RELAYED = "!remote!"


def out_of_reach(
    connection: Connection,
    ips: Mapping[str, str],
    pools: Mapping[str, Sequence[str]],
    site: Mapping[str, str],
    mn: str,
) -> dict[str, str]:
    """node → sentence, of those whose address is in no network of any member of their pool.

    Members whose addresses the tables do not tell, and networks behind a DHCP relay, are given the benefit of
    the doubt.
    """
    cluster = _cluster(connection, {name for pool in pools.values() for name in pool}, site, mn)
    relayed = [
        network
        for name, network in cluster.subnets.items()
        if cluster.networks[name].get("mgtifname", "").startswith(RELAYED)
    ]
    reach: dict[tuple[str, ...], Nets | None] = {}
    found = {}
    for node, ip in ips.items():
        pool = tuple(pools[node])
        if pool not in reach:
            there = _networks(cluster, pool)
            reach[pool] = None if there is None else ipv4.nets([*there, *relayed])
        within, address = reach[pool], ipv4.number(ip)
        if within is None or address is None or address in within or parsed(ip) is None:
            continue
        found[node] = (
            f"its address {ip} is in no network of its service nodes {', '.join(pool)}: "
            f"lsdef {node},{','.join(pool)} -i ip,nicips and lsdef -t network -l show them"
        )
    return found


def _networks(cluster: Cluster, pool: Sequence[str]) -> list[Network] | None:
    """The networks of these members; None when one's are not known."""
    found = networks_of(cluster, pool)
    if any(short(name) == short(cluster.mn) for name in pool) and not networks_of(cluster, [cluster.mn]):
        return None
    return found


def _cluster(connection: Connection, names: set[str], site: Mapping[str, str], mn: str) -> Cluster:
    found = effective(connection, ADDRESSES, {*names, mn, site.get("master", "")}, {})
    return Cluster(
        mn=mn,
        nodes=found,
        site=site,
        networks=read_rows(connection, "network"),
        addresses_of={
            node: [line.ip for line in node_lines(node, values, "", full_first=False)]
            for node, values in found.items()
        },
    )
