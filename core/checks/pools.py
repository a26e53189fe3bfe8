"""Findings about pools of service nodes and what must not stand beside them (hierarchy guide, 2.1)."""

from collections.abc import Iterator

from core.checks.cluster import Cluster, Finding, Level, gathered, short, word

#: They name one server, and with a pool it may be any of its members: columns of noderes.
BLANK_WITH_POOL = ("xcatmaster", "tftpserver", "nfsserver")
#: They do not follow the pool and have to be said: attribute, table, words of the sentence.
NAMED_WITH_POOL = (("conserver", "nodehm", "consoles do"), ("monserver", "noderes", "monitoring does"))
OFF = ("0", "no")


def pool_members_are_nodes(cluster: Cluster) -> Iterator[Finding]:
    """A name in a servicenode list that no node has."""
    there = {short(name) for name in (*cluster.nodes, cluster.mn)}
    pairs = ((name, node) for node, names in cluster.lists.items() for name in names)
    for name, nodes in gathered(pair for pair in pairs if short(pair[0]) not in there):
        yield Finding(
            Level.ERROR,
            nodes,
            f"{name} stands in servicenode and is not a node",
            f"mkdef {word(name)} groups=service,all setupnfs=1 servicenode={word(cluster.mn)}",
        )


def pool_members_are_service_nodes(cluster: Cluster) -> Iterator[Finding]:
    """A node in a servicenode list that has no row in the servicenode table."""
    strangers = {short(name) for name in cluster.nodes} - cluster.known
    pairs = ((name, node) for node, names in cluster.lists.items() for name in names)
    for name, nodes in gathered(pair for pair in pairs if short(pair[0]) in strangers):
        yield Finding(
            Level.ERROR,
            nodes,
            f"{name} stands in servicenode and has no row in the servicenode table: it is passed over",
            f"chdef {word(name)} setupnfs=1",
        )


def service_nodes_belong_to_the_mn(cluster: Cluster) -> Iterator[Finding]:
    """A service node whose own service node is another one."""
    pairs = (
        (",".join(names), node)
        for node in sorted(cluster.service_nodes)
        if (names := cluster.lists.get(node)) and [short(name) for name in names] != [short(cluster.mn)]
    )
    for text, nodes in gathered(pairs):
        yield Finding(
            Level.ERROR,
            nodes,
            f"a service node's own service node is the management node, not {text}",
            f"chdef {word(nodes)} servicenode={word(cluster.mn)}",
        )


def servers_are_blank_with_pools(cluster: Cluster) -> Iterator[Finding]:
    """xcatmaster, tftpserver or nfsserver beside a pool."""
    pairs = (
        (attribute, node)
        for node in cluster.pooled
        for attribute in BLANK_WITH_POOL
        if cluster.nodes[node].get(f"noderes.{attribute}")
    )
    for attribute, nodes in gathered(pairs):
        yield Finding(
            Level.ERROR,
            nodes,
            f"{attribute} must be blank with a pool of service nodes: it names one server for good",
            f"chdef {word(nodes)} {attribute}=  # or for the group that has the value: chdef -t group",
        )


def sharedtftp_is_off_with_pools(cluster: Cluster) -> Iterator[Finding]:
    """Pools while site.sharedtftp is not 0; without a value it is 1."""
    if cluster.pooled and cluster.site.get("sharedtftp", "1").strip().lower() not in OFF:
        yield Finding(
            Level.ERROR,
            "site.sharedtftp",
            "it must be 0 with pools of service nodes: each has a tftpdir of its own",
            "chdef -t site clustersite sharedtftp=0",
        )


def consoles_are_named_with_pools(cluster: Cluster) -> Iterator[Finding]:
    """A pool without conserver or monserver."""
    pairs = (
        ((attribute, what, names[0]), node)
        for node, names in cluster.pooled.items()
        for attribute, table, what in NAMED_WITH_POOL
        if not cluster.nodes[node].get(f"{table}.{attribute}")
    )
    for (attribute, what, first), nodes in gathered(pairs):
        yield Finding(
            Level.WARNING,
            nodes,
            f"{attribute} is not set, and {what} not follow the pool",
            f"chdef {word(nodes)} {attribute}={word(first)}",
        )


CHECKS = (
    pool_members_are_nodes,
    pool_members_are_service_nodes,
    service_nodes_belong_to_the_mn,
    servers_are_blank_with_pools,
    sharedtftp_is_off_with_pools,
    consoles_are_named_with_pools,
)
