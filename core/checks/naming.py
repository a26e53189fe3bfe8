"""Findings about host names: which ones have to resolve on the management node, and which do not."""

from collections.abc import Iterator, Mapping

from core import webaccess
from core.bmcaccess import IPMI, TABLE_OF, method_of, split_port
from core.checks.cluster import Cluster, Finding, Level, Values, listed, parsed, word
from core.errors import DefinitionError, NodeError
from core.fold import fold

#: Columns that name a host: of nodes, of networks, of the site.
SERVERS = (
    "noderes.xcatmaster",
    "noderes.tftpserver",
    "noderes.nfsserver",
    "noderes.monserver",
    "nodehm.conserver",
)
NETWORK_SERVERS = ("dhcpserver", "tftpserver", "nameservers")


def bmc_hosts(nodes: Mapping[str, Values]) -> dict[str, str]:
    """The host name or address of each node's BMC; of those that have a readable one."""
    found = {}
    for node, values in nodes.items():
        method = method_of(values)
        address = values.get(f"{TABLE_OF.get(method, '')}.bmc", "")
        try:
            if address:
                web = method != IPMI
                found[node] = webaccess.parse_web(address)[1].host if web else split_port(address)[0]
        except (NodeError, DefinitionError):
            continue  # the power commands say what is wrong with it
    return found


def server_names(cluster: Cluster) -> set[str]:
    """Hosts that nodes, networks and the site name as servers."""
    texts = {values.get(column) for values in cluster.nodes.values() for column in SERVERS}
    texts |= {row.get(column) for row in cluster.networks.values() for column in NETWORK_SERVERS}
    texts.add(cluster.site.get("master"))
    names = {name for text in texts for name in listed(text)}
    return {name for name in names if name[0] not in "<|/" and parsed(name) is None}


def names_to_look_up(cluster: Cluster) -> set[str]:
    """Every name that is needed and that no hosts.ip gives an address."""
    needed = {*cluster.nodes, *bmc_hosts(cluster.nodes).values(), *server_names(cluster)}
    return {name for name in needed if not cluster.nodes.get(name, {}).get("hosts.ip")}


def nodes_have_addresses(cluster: Cluster) -> Iterator[Finding]:
    """A node whose ip is not set and whose name does not resolve."""
    if lost := fold(node for node in cluster.nodes if node in cluster.unresolved):
        sentence = "no ip is set and the name does not resolve"
        yield Finding(Level.WARNING, lost, sentence, f"chdef {word(lost)} ip=ADDRESS; makehosts {word(lost)}")


def bmc_names_resolve(cluster: Cluster) -> Iterator[Finding]:
    """A BMC whose name does not resolve."""
    lost = {node: host for node, host in bmc_hosts(cluster.nodes).items() if host in cluster.unresolved}
    if lost:
        nodes, names = fold(lost), fold(lost.values())
        sentence = f"the name of the BMC does not resolve: {names}"
        yield Finding(Level.ERROR, nodes, sentence, f"chdef {word(nodes)} bmc=ADDRESS")


def server_names_resolve(cluster: Cluster) -> Iterator[Finding]:
    """A server that is no node, whose name does not resolve."""
    for name in sorted(server_names(cluster) & cluster.unresolved - set(cluster.nodes)):
        sentence = "the tables name a server so, and the name does not resolve"
        mend = f"mkdef {word(name)} groups=all ip=ADDRESS; makehosts {word(name)}"
        yield Finding(Level.ERROR, name, sentence, mend)


def names_are_looked_up_in_time(cluster: Cluster) -> Iterator[Finding]:
    """Names about which nothing is known, because the name service was too slow."""
    if cluster.late:
        sentence = "the name service did not answer in time; whether these names resolve was not checked"
        yield Finding(Level.WARNING, fold(cluster.late), sentence, "makehosts; serval check")


CHECKS = (nodes_have_addresses, bmc_names_resolve, server_names_resolve, names_are_looked_up_in_time)
