"""Findings about what is written for nodes: hardware control, addresses, groups, regex values, osimages."""

import re
from collections.abc import Callable, Iterator

from core import regexattr
from core.bmcaccess import TABLE_OF, method_of
from core.checks.cluster import Cluster, Finding, Level, Values, gathered, parsed, short, word
from core.fold import fold

#: nodeset states that boot an osimage.
IMAGE_STATES = frozenset({"install", "netboot", "statelite", "osimage"})
HEX_PAIRS = re.compile(r"[0-9a-f]{12,}")


def the_master_is_named(cluster: Cluster) -> Iterator[Finding]:
    """site.master is missing."""
    if not cluster.site.get("master"):
        yield Finding(
            Level.ERROR,
            "site.master",
            "it is not set: nodes do not learn who the management node is",
            f"chdef -t site clustersite master={word(cluster.mn)}",
        )


def nodes_have_hardware_control(cluster: Cluster) -> Iterator[Finding]:
    """A node with neither BMC nor mgt, and one whose mgt needs a BMC address that is missing."""
    pairs = []
    for node, values in cluster.nodes.items():
        method = method_of(values)
        table = TABLE_OF.get(method, "")
        lacking = not values.get(f"{table}.bmc") if table else not method
        if lacking and short(node) != short(cluster.mn):
            pairs.append((method, node))
    for method, nodes in gathered(pairs):
        if method:
            sentence = f"mgt is {method} and no BMC address is set: no power command reaches it"
            yield Finding(Level.ERROR, nodes, sentence, f"chdef {word(nodes)} bmc=ADDRESS")
        else:
            sentence = "neither a BMC address nor mgt is set: no power command reaches it"
            yield Finding(Level.WARNING, nodes, sentence, f"chdef {word(nodes)} mgt=ipmi bmc=ADDRESS")


def _duplicates(
    cluster: Cluster, what: str, attribute: str, keys: Callable[[Values], list[str]]
) -> Iterator[Finding]:
    owners: dict[str, list[str]] = {}
    for node, values in cluster.nodes.items():
        for key in keys(values):
            owners.setdefault(key, []).append(node)
    for key, names in owners.items():
        if len(set(names)) > 1:
            sentence = f"they have the same {what}: {key}"
            yield Finding(Level.ERROR, fold(names), sentence, f"chdef {word(names[-1])} {attribute}=ADDRESS")


def mac_addresses_are_unique(cluster: Cluster) -> Iterator[Finding]:
    """A MAC address of two nodes."""
    return _duplicates(cluster, "MAC address", "mac", _macs)


def _macs(values: Values) -> list[str]:
    found = []
    for item in values.get("mac.mac", "").split("|"):
        digits = re.sub(r"[:.\s-]", "", item.partition("!")[0]).lower()
        if HEX_PAIRS.fullmatch(digits):
            found.append(":".join(re.findall("..", digits)))
    return list(dict.fromkeys(found))


def ip_addresses_are_unique(cluster: Cluster) -> Iterator[Finding]:
    """An IP address of two nodes."""
    return _duplicates(cluster, "IP address", "ip", _ips)


def _ips(values: Values) -> list[str]:
    address = parsed(values.get("hosts.ip", ""))
    return [str(address)] if address else []


def bmcs_are_unique(cluster: Cluster) -> Iterator[Finding]:
    """A BMC of two nodes: each would switch the other."""
    return _duplicates(cluster, "BMC", "bmc", _bmcs)


def _bmcs(values: Values) -> list[str]:
    address = values.get(f"{TABLE_OF.get(method_of(values), '')}.bmc", "")
    return [address.partition("#")[0].strip().lower()] if address else []


def groups_do_not_hold_themselves(cluster: Cluster) -> Iterator[Finding]:
    """A cycle of membergroups; each cycle once."""
    done: set[str] = set()
    for start in sorted(cluster.membergroups):
        cycle = _cycle(cluster, start)
        if cycle and not done & set(cycle):
            done.update(cycle)
            rest = ",".join(one for one in cluster.membergroups[cycle[-1]] if one != cycle[0])
            yield Finding(
                Level.ERROR,
                f"group {cycle[0]}",
                f"its membergroups lead back to it: {' → '.join([*cycle, cycle[0]])}",
                f"chtab groupname={word(cycle[-1])} nodegroup.membergroups={word(rest) if rest else ''}",
            )


def _cycle(cluster: Cluster, start: str) -> list[str]:
    """The groups on a way from `start` back to it, `start` first; empty when there is none."""
    came: dict[str, str] = {}
    ahead = [start]
    while ahead:
        group = ahead.pop()
        for other in cluster.membergroups.get(group, ()):
            if other == start:
                way = [group]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return way[::-1]
            if other not in came:
                came[other] = group
                ahead.append(other)
    return []


def regex_values_can_be_read(cluster: Cluster) -> Iterator[Finding]:
    """A regex value that is malformed, or that cannot be calculated for a node."""
    pairs = (
        ((key, _without(sentence, key, node)), node) for (node, key), sentence in cluster.unreadable.items()
    )
    for (key, sentence), nodes in gathered(pairs):
        yield Finding(Level.ERROR, nodes, sentence, f"nodech {word(nodes)} {key}=VALUE")


def regex_values_apply(cluster: Cluster) -> Iterator[Finding]:
    """A regex value whose pattern does not match the name of a node: the name itself becomes the value."""
    columns = {key for _, key in cluster.written}
    pairs = []
    for node, values in cluster.nodes.items():
        for key in columns:
            if values.get(key) != node:
                continue
            owners = (node, *cluster.groups.get(node, ()))
            owner = next((one for one in owners if (one, key) in cluster.written), None)
            if owner is not None and not regexattr.matches(cluster.written[owner, key], node):
                pairs.append(((owner, key), node))
    for (owner, key), nodes in gathered(pairs):
        yield Finding(
            Level.WARNING,
            nodes,
            f"the regex value of {key} that {owner} has does not match the name, which becomes the value",
            f"{'nodech' if owner in cluster.nodes else 'nodegrpch'} {word(owner)} {key}=VALUE",
        )


def booted_osimages_exist(cluster: Cluster) -> Iterator[Finding]:
    """A nodeset state that boots an osimage, and provmethod names none that there is."""
    pairs = []
    for node, values in cluster.nodes.items():
        state = values.get("chain.currstate", "").partition(" ")[0]
        image = values.get("nodetype.provmethod", "")
        if state in IMAGE_STATES and image not in cluster.osimages:
            pairs.append(((state, image), node))
    for (state, image), nodes in gathered(pairs):
        what = (
            f"provmethod names the osimage {image}, which does not exist" if image else "provmethod is empty"
        )
        yield Finding(
            Level.ERROR,
            nodes,
            f"it is set to boot into {state}, and {what}",
            f"chdef {word(nodes)} provmethod=OSIMAGE",
        )


def _without(sentence: str, key: str, node: str) -> str:
    """The sentence without the node, so that nodes with the same complaint fold."""
    return sentence.replace(f"{key} of {node}", key, 1)


CHECKS = (
    the_master_is_named,
    nodes_have_hardware_control,
    mac_addresses_are_unique,
    ip_addresses_are_unique,
    bmcs_are_unique,
    groups_do_not_hold_themselves,
    regex_values_can_be_read,
    regex_values_apply,
    booted_osimages_exist,
)
