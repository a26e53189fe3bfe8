"""The tables of docs/benchmarks.md; what is not measured this time stays as it is."""

import os
import platform
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from bench.runs import Median

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
TITLE = "# Benchmarks\n\nThe tables are written by `make bench`.\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the columns of figures are right-aligned, the one named `command` or `process` is not."""
    rule = ["---" if head in ("command", "process") else "---:" for head in heads]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def speed_table(found: Iterable[Median]) -> str:
    """Seconds and nodes a second."""
    rows = [
        [f"{m.size:,}", m.name, seconds(m.end_s), f"{seconds(m.least_s)}-{seconds(m.most_s)}",
         f"{m.size / m.end_s:,.0f}", str(m.runs)]
        for m in found
    ]  # fmt: skip
    return table(["BMCs", "command", "median s", "min-max s", "nodes/s", "runs"], rows)


def seconds(value: float) -> str:
    """Three figures below a second, two decimals above."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def spread(took: Sequence[float]) -> tuple[str, str]:
    """The median, and the least and the most."""
    return seconds(median(took)), f"{seconds(min(took))}-{seconds(max(took))}"


def machine() -> str:
    """When and where."""
    return (
        f"Measured {time.strftime('%Y-%m-%d %H:%M')}: {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before."
    )


def write(heading: str, text: str) -> None:
    """Put a section in the place of the one with the same heading, or at the end."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else TITLE
    section = f"## {heading}\n\n{text}\n"
    found = re.search(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if found is None:
        page = f"{page.rstrip()}\n\n{section}"
    else:
        page = f"{page[: found.start()]}{section}\n{page[found.end() :]}".rstrip() + "\n"
    PAGE.write_text(page, encoding="utf-8")
