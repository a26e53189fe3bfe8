"""Plain text for people: aligned columns, times, and nodes folded by what is said of them."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cli.objects import printable
from core.fold import fold
from core.likeness import general
from core.states import Outcome
from db.jobs import NodeResult


def aligned(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines of a table: columns as wide as they need, numbers to the right, None as `-`."""
    cells = [[printable("-" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [all(row[at].isdecimal() for row in cells) for at in range(len(heads))]
    for line in [list(heads), *cells]:
        padded = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def date(at: float | None) -> str | None:
    """`2026-03-01 12:34:05` in the local time zone."""
    return None if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clock(at: float | None) -> str | None:
    """`12:34:05.123` in the local time zone."""
    if at is None:
        return None
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"


def counted(counts: Mapping[str, int]) -> str:
    """`412 ok, 3 unknown, 5 go on` of JobInfo.counts."""
    parts = [f"{counts[one]} {one.value}" for one in Outcome if counts.get(one)]
    if counts.get(""):
        parts.append(f"{counts['']} go on")
    return ", ".join(parts)


def by_message(results: Iterable[NodeResult]) -> list[tuple[str, str, list[str]]]:
    """Outcome, message and nodes of each group that was told the same; the common ones first."""
    groups: dict[tuple[str, str], list[NodeResult]] = {}
    for result in results:
        groups.setdefault((result.outcome, general(result.text, result.node)), []).append(result)
    order = list(Outcome)
    told = [
        (outcome, found[0].text if len({one.text for one in found}) == 1 else common, found)
        for (outcome, common), found in groups.items()
    ]
    told.sort(key=lambda one: (order.index(Outcome(one[0])), -len(one[2]), one[1]))
    return [(outcome, printable(text), [one.node for one in found]) for outcome, text, found in told]


def folded(results: Iterable[NodeResult]) -> Iterator[str]:
    """`n[001-004]: 4 unreached: …`, a line for each group of nodes that was told the same."""
    for outcome, text, nodes in by_message(results):
        yield f"{fold(nodes)}: {len(nodes)} {outcome}: {text}"


def per_member(results: Iterable[NodeResult]) -> dict[str, Counter[str]]:
    """Service node → nodes by outcome; nodes that no service node answered for are not in it."""
    found: dict[str, Counter[str]] = {}
    for result in results:
        if result.sn:
            found.setdefault(result.sn, Counter())[result.outcome] += 1
    return dict(sorted(found.items()))
