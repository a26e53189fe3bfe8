"""Folding node names: `n001 n002 n003` is `n[001-003]` (ClusterShell's notation)."""

from collections.abc import Iterable

from ClusterShell.NodeSet import NodeSet, NodeSetException


def fold(nodes: Iterable[str]) -> str:
    """The shortest text that names these nodes; names that cannot be folded are joined with commas."""
    names = list(nodes)
    try:
        return str(NodeSet.fromlist(names, autostep=None)) if names else ""
    except NodeSetException:
        return ",".join(sorted(names))


def unfold(text: str) -> list[str]:
    """The names in a folded text, in NodeSet order."""
    return list(NodeSet(text)) if text else []
