"""Findings about networks: who serves them, and whether nodes and their servers meet on one."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from core.checks.cluster import Cluster, Finding, Level, Network, gathered, listed, parsed, short, word

#: A node takes its own service node for this.
OWN_MASTER = "<xcatmaster>"


def networks_leave_servers_to_pools(cluster: Cluster) -> Iterator[Finding]:
    """networks.tftpserver or nameservers while there are pools."""
    for name, row in cluster.networks.items() if cluster.pooled else ():
        for attribute in ("tftpserver", "nameservers"):
            if row.get(attribute, OWN_MASTER) != OWN_MASTER:
                yield Finding(
                    Level.WARNING,
                    f"network {name}",
                    f"{attribute} is {row[attribute]}, which nodes of a pool use even when another of its "
                    "service nodes acts for them",
                    f"chdef -t network {word(name)} {attribute}=",
                )


def dynamic_ranges_have_a_server(cluster: Cluster) -> Iterator[Finding]:
    """A dynamicrange without dhcpserver, where there are service nodes."""
    for name, row in cluster.networks.items() if cluster.service_nodes else ():
        if row.get("dynamicrange") and not row.get("dhcpserver"):
            yield Finding(
                Level.ERROR,
                f"network {name}",
                "it has a dynamicrange and no dhcpserver: two servers would give out the same addresses",
                f"chdef -t network {word(name)} dhcpserver={word(min(cluster.service_nodes))}",
            )


def dhcp_servers_are_one_member(cluster: Cluster) -> Iterator[Finding]:
    """networks.dhcpserver that is not one single member of a pool, or the management node."""
    members = {short(name) for names in cluster.pooled.values() for name in names} | {short(cluster.mn)}
    for name, row in cluster.networks.items() if cluster.pooled else ():
        servers = listed(row.get("dhcpserver"))
        if len(servers) > 1:
            why = f"dhcpserver names {len(servers)} hosts, and one alone may serve a dynamic range"
        elif servers and short(servers[0]) not in members:
            why = f"dhcpserver is {servers[0]}, which is in no pool"
        else:
            continue
        good = next((server for server in servers if short(server) in members), "")
        one = good or min(name for names in cluster.pooled.values() for name in names)
        mend = f"chdef -t network {word(name)} dhcpserver={word(one)}"
        yield Finding(Level.ERROR, f"network {name}", why, mend)


def nodes_share_a_network_with_a_server(cluster: Cluster) -> Iterator[Finding]:
    """A node whose address is in no network of any of its service nodes."""
    reach: dict[str, list[Network] | None] = {}
    pairs = []
    for node, names in cluster.lists.items():
        address = parsed(cluster.address(node))
        text = ",".join(names)
        if text not in reach:
            reach[text] = networks_of(cluster, names)
        subnets = reach[text]
        if address is None or subnets is None or node in cluster.service_nodes:
            continue
        if not any(address in subnet for subnet in subnets):
            pairs.append((text, node))
    for text, nodes in gathered(pairs):
        yield Finding(
            Level.WARNING,
            nodes,
            f"in no network of its service nodes {text}, as the networks table and their addresses have it",
            f"lsdef {word(nodes)},{word(text)} -i ip,nicips; lsdef -t network -l",
        )


def networks_of(cluster: Cluster, names: Iterable[str]) -> list[Network] | None:
    """The networks that these service nodes are on; None when one's addresses are not known."""
    found: list[Network] = []
    for name in names:
        if short(name) == short(cluster.mn):
            found += _mn_networks(cluster)
            continue
        addresses = [one for text in _addresses(cluster, name) if (one := parsed(text))]
        if not addresses:
            return None
        found += [net for net in cluster.subnets.values() if any(one in net for one in addresses)]
    return found


def _addresses(cluster: Cluster, name: str) -> list[str]:
    return [*cluster.addresses_of.get(name, ()), cluster.address(name)]


def _mn_networks(cluster: Cluster) -> list[Network]:
    """Those that this host is on, and those that the tables have its own address or site.master in."""
    master = cluster.site.get("master", "")
    texts = (master, cluster.address(master), cluster.address(cluster.mn))
    addresses = [one for text in texts if (one := parsed(text))]
    own: list[Network] = [ip_network(text) for text in cluster.mn_networks]
    return own + [net for net in cluster.subnets.values() if any(one in net for one in addresses)]


def service_nodes_share_a_network_with_the_mn(cluster: Cluster) -> Iterator[Finding]:
    """A service node in no network of the management node."""
    own = _mn_networks(cluster)
    for name in sorted(cluster.service_nodes) if own else ():
        addresses = [one for text in _addresses(cluster, name) if (one := parsed(text))]
        if (
            short(name) != short(cluster.mn)
            and addresses
            and not any(a in net for a in addresses for net in own)
        ):
            yield Finding(
                Level.WARNING,
                name,
                f"{', '.join(map(str, dict.fromkeys(addresses)))} is in no network of the management node",
                f"chdef {word(name)} ip=ADDRESS",
            )


CHECKS = (
    networks_leave_servers_to_pools,
    dynamic_ranges_have_a_server,
    dhcp_servers_are_one_member,
    nodes_share_a_network_with_a_server,
    service_nodes_share_a_network_with_the_mn,
)
