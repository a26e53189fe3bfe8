"""Which service nodes may act for a node: noderes.servicenode, left to right (xCAT noderes(5)).

A node without a pool belongs to the management node, and so do the service nodes themselves. A name without a
row in the servicenode table is passed over with that reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from db.engine import Connection
from db.lookup import Unreadable, effective, holding, split_list
from db.tables import TABLES

SERVICES = [c.name for c in TABLES["servicenode"].columns if c.name not in ("node", "comments", "disable")]


@dataclass(slots=True)
class Pools:
    """The pools of some nodes; every node is in `of` or in `hopeless`."""

    #: node → names, comma-separated, best first.
    of: dict[str, str] = field(default_factory=dict)
    #: node → error class and sentence.
    hopeless: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Sentences about names that were passed over, with the nodes concerned.
    remarks: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    def lists(self) -> dict[str, tuple[str, ...]]:
        """node → names, best first; nodes of one pool share one tuple."""
        known = {pool: tuple(members(pool)) for pool in set(self.of.values())}
        return {node: known[pool] for node, pool in self.of.items()}


def service_nodes(connection: Connection) -> set[str]:
    """Every node with a servicenode row (its own or a group's) in which at least one attribute is set."""
    return set(holding(connection, {"servicenode": SERVICES}))


def pools_of(connection: Connection, nodes: Sequence[str], mn: str) -> Pools:
    """The pools of `nodes`, in which only real service nodes and the management node `mn` are left."""
    unreadable: Unreadable = {}
    values = effective(connection, {"noderes": ["servicenode"]}, nodes, unreadable)
    written = {node: values.get(node, {}).get("noderes.servicenode", "") for node in nodes}
    return pools_from(connection, written, mn, {node: said for (node, _), said in unreadable.items()})


def pools_from(connection: Connection, written: Mapping[str, str], mn: str, bad: Mapping[str, str]) -> Pools:
    """The same for nodes whose noderes.servicenode is known already; `bad` are sentences about others."""
    known = {_short(name) for name in service_nodes(connection)} | {_short(mn)}
    return sort_out(written, known, mn, bad)


def sort_out(written: Mapping[str, str], known: set[str], mn: str, bad: Mapping[str, str]) -> Pools:
    """The rule itself: `written` is noderes.servicenode of each node, `known` the short names that count."""
    found = Pools()
    concerned: dict[str, list[str]] = {}
    cache: dict[str, tuple[list[str], list[str]]] = {}
    for node, text in written.items():
        if node in bad:
            found.hopeless[node] = ("DefinitionError", bad[node])
            continue
        if text not in cache:
            names = list(dict.fromkeys(split_list(text))) or [mn]
            good = [name for name in names if _short(name) in known]
            cache[text] = good, [name for name in names if name not in good]
        good, passed = cache[text]
        for name in passed:
            concerned.setdefault(name, []).append(node)
        if good:
            found.of[node] = ",".join(good)
        else:
            found.hopeless[node] = ("ServiceNodeLost", "; ".join(_stranger(name) for name in passed))
    found.remarks = [(f"passed over {_stranger(name)}", nodes) for name, nodes in concerned.items()]
    return found


def _stranger(name: str) -> str:
    return f"{name}: not a service node, it has no row in the servicenode table"


def _short(name: str) -> str:
    return name.partition(".")[0].lower()


def members(pool: str) -> list[str]:
    """The names in a pool as job_node.pool holds it."""
    return split_list(pool)


def all_names(pools: Iterable[str]) -> list[str]:
    """Every name in these pools, each once, in order of appearance."""
    return list(dict.fromkeys(name for pool in pools for name in members(pool)))
