"""Folding node names: `n001 n002 n003` is `n[001-003]` (ClusterShell's notation)."""

import re
from collections.abc import Iterable, Iterator

from ClusterShell.NodeSet import NodeSet, NodeSetException

#: A name with one number in it, which is how the nodes of a cluster are mostly called.
_NUMBERED = re.compile(r"([a-z._-]*)([0-9]+)([a-z._-]*)", re.IGNORECASE)


def fold(nodes: Iterable[str]) -> str:
    """The shortest text that names these nodes; names that cannot be folded are joined with commas."""
    names = list(nodes)
    try:
        return _fold_alike(names) or (str(NodeSet.fromlist(names, autostep=None)) if names else "")
    except NodeSetException:
        return ",".join(sorted(names))


def unfold(text: str) -> list[str]:
    """The names in a folded text, in NodeSet order."""
    return list(NodeSet(text)) if text else []


def _fold_alike(names: list[str]) -> str | None:
    """What NodeSet says of names that differ in one number of one width, in a tenth of its time."""
    first = _NUMBERED.fullmatch(names[0]) if names else None
    if first is None:
        return None
    before, digits, after = first.groups()
    start, end, size = len(before), len(before) + len(digits), len(names[0])
    numbers = set()
    for name in names:
        number = name[start:end]
        if len(name) != size or not (name.startswith(before) and name.endswith(after)):
            return None
        if not (number.isascii() and number.isdigit()):
            return None
        numbers.add(int(number))
    if len(numbers) == 1:
        return names[0]
    width = end - start
    ranges = ",".join(
        f"{low:0{width}}" if low == high else f"{low:0{width}}-{high:0{width}}"
        for low, high in _ranges(sorted(numbers))
    )
    return f"{before}[{ranges}]{after}"


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    low = high = numbers[0]
    for number in numbers[1:]:
        if number != high + 1:
            yield low, high
            low = number
        high = number
    yield low, high
