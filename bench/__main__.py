"""`make bench`: nodes a second of `rpower stat` from the shell, beside ipmipower, against the same simulator.

    python -m bench [RUNS] [SIZE …]        (5 runs of 100, 1,000 and 10,000 BMCs)

Every figure is the median of whole processes, from the shell's point of view; the runs of all rows are taken
in turn, so that a change of the machine's speed meets all of them. PostgreSQL runs with its durable defaults.
The table goes to standard output and to docs/benchmarks.md.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.box import USER, Box
from tests.integration.postgres_server import PostgresServer, binaries

SIZES = (100, 1_000, 10_000)
RUNS = 5
FANOUT = 256
DURABLE = {"max_connections": "200"}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


@dataclass(slots=True)
class Row:
    """One way to ask all BMCs; `measure` runs it once and raises when an answer is missing."""

    name: str
    measure: Callable[[], None]
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """One timed run."""
        began = time.perf_counter()
        self.measure()
        self.seconds.append(time.perf_counter() - began)

    def line(self, size: int) -> str:
        """The row of the table."""
        median = statistics.median(self.seconds)
        spread = f"{min(self.seconds):.2f}-{max(self.seconds):.2f}"
        return f"| {size:,} | {self.name} | {median:.2f} | {spread} | {size / median:,.0f} |"


def ask_serval(box: Box) -> Callable[[], None]:
    """`rpower compute stat` from the shell."""

    def measure() -> None:
        done = box.must("rpower", "compute", "stat")
        if len(done.lines) != box.bmcs:
            raise RuntimeError(f"{len(done.lines)} answers of {box.bmcs}")

    return measure


def ask_ipmipower(box: Box) -> Callable[[], None]:
    """FreeIPMI's ipmipower on the same BMCs; its host list is bounded, so it is cut like its users cut it."""
    hosts = [f"127.1.{i // 256}.{i % 256}:{box.control.hello()['port']}" for i in range(1, box.bmcs + 1)]
    files = [",".join(hosts[start : start + 5_000]) for start in range(0, len(hosts), 5_000)]
    common = ["-u", USER, "-p", box.password, "-D", "LAN_2_0", "-I", "17", "--stat", "-F", str(FANOUT)]

    def measure() -> None:
        answers = 0
        for part in files:
            done = subprocess.run(
                ["ipmipower", "-h", part, *common], capture_output=True, text=True, check=False
            )
            answers += sum(1 for line in done.stdout.splitlines() if line.endswith((": on", ": off")))
        if answers != box.bmcs:
            raise RuntimeError(f"ipmipower gave {answers} answers of {box.bmcs}")

    return measure


def measure_size(size: int, runs: int) -> list[str]:
    """The rows for one number of BMCs."""
    folder = Path(tempfile.mkdtemp(prefix="serval-bench-"))
    programs = binaries()
    if programs is None or shutil.which("ipmipower") is None:
        raise SystemExit("bench needs PostgreSQL and freeipmi-tools: make packages")
    server = PostgresServer(programs, DURABLE)
    boxes = [Box(folder / "sqlite", size)]
    try:
        server.start()
        server.execute("CREATE DATABASE bench")
        boxes.append(Box(folder / "postgres", size, database=server.url("bench")))
        for box in boxes:
            box.start()
        rows = [
            Row("rpower stat, 2 SNs, PostgreSQL", ask_serval(boxes[1])),
            Row("rpower stat, 2 SNs, SQLite", ask_serval(boxes[0])),
            Row(f"ipmipower -F {FANOUT}", ask_ipmipower(boxes[0])),
        ]
        for row in rows:
            row.measure()  # not counted
        for _ in range(runs):
            for row in rows:
                row.run()
        return [row.line(size) for row in rows]
    finally:
        for box in boxes:
            box.stop()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main(argv: list[str]) -> None:
    """Measure, print, and write the page."""
    runs = int(argv[0]) if argv else RUNS
    sizes = [int(word) for word in argv[1:]] or list(SIZES)
    title = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {runs} runs"
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {title}. Simulator, broker, database, service nodes and",
        "client share these cores. Medians of whole processes; outcomes are durable before they are printed.",
        "",
        "| BMCs | command | median s | min-max s | nodes/s |",
        "|---:|---|---:|---:|---:|",
    ]
    for size in sizes:
        lines += measure_size(size, runs)
    text = "\n".join(lines)
    print(text)
    PAGE.write_text(f"# Benchmarks\n\nWritten by `make bench`.\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
