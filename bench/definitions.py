"""How long definition commands take on 10,000 nodes, on both databases, as whole commands in a warm process.

    python -m bench.definitions [RUNS] [NODES …]     (3 runs; 1,000 and 10,000 nodes)

The commands run as in the command server: everything is imported, nothing of the database is cached. The
groups have regex values, so that every node inherits from several rows. The table goes to standard output and
to docs/benchmarks-definitions.md.
"""

import io
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from cli.context import Context
from cli.entry import run
from db.engine import open_engine
from tests.integration.postgres_server import PostgresServer, binaries

RUNS = 3
SIZES = (1_000, 10_000)
DURABLE = {"max_connections": "50"}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-definitions.md"
#: Command → what issue 4 asks for on 10,000 nodes, seconds.
TARGETS = {
    "mkdef": 3.0,
    "lsdef all -i servicenode,bmc": 1.0,
    "lsdef all": 3.0,
    "chdef all profile=x": 2.0,
    "tabdump nodelist": 0.5,
    "nodels all": 0.3,
    "lsdef n1": 0.1,
}


def prepare(env: Mapping[str, str], size: int) -> list[list[str]]:
    """The commands in the order of TARGETS; the groups are made here."""
    bmc = r"|n(\d+)|10.(($1/62500)%250).(($1/250)%250).(($1%250)+1)|"
    call(env, ["mkdef", "-t", "group", "-o", "compute", "mgt=ipmi", f"bmc={bmc}", "bmcusername=u"])
    call(env, ["chdef", "-t", "group", "-o", "compute", "arch=x86_64", "os=rocky9", "netboot=xnba"])
    call(env, ["chdef", "-t", "group", "-o", "compute", r"ip=|n(\d+)|10.200.($1/250).($1%250)|"])
    for rack in range(20):
        pool = f"sn{rack % 4},sn{(rack + 1) % 4}"
        call(env, ["mkdef", "-t", "group", "-o", f"rack{rack}", f"servicenode={pool}", f"room=r{rack}"])
    return [["mkdef", f"n[1-{size}]", "groups=compute,rack1,all", "usercomment=x"]] + [
        line.split() for line in list(TARGETS)[1:]
    ]


def call(env: Mapping[str, str], words: list[str]) -> float:
    """Run a command; the seconds it took. Raises RuntimeError when it failed."""
    out, err = io.StringIO(), io.StringIO()
    context = Context(out, err, io.StringIO(), env, Path("/"), "bench", terminal=False)
    began = time.perf_counter()
    status = run(words[0], words[1:], context)
    took = time.perf_counter() - began
    if status != 0:
        raise RuntimeError(f"{' '.join(words)}: {err.getvalue()}")
    return took


def measure(env: Mapping[str, str], size: int, runs: int) -> list[float]:
    """Median seconds of each command of TARGETS."""
    lines = prepare(env, size)
    taken: list[list[float]] = [[] for _ in lines]
    for _ in range(runs):
        for place, words in enumerate(lines):
            taken[place].append(call(env, words))
        call(env, ["noderm", "all"])
    return [statistics.median(found) for found in taken]


def both(size: int, runs: int, server: PostgresServer, folder: Path) -> list[list[float]]:
    """The medians on PostgreSQL and on SQLite."""
    server.execute(f"CREATE DATABASE d{size}")
    found = []
    for url in (server.url(f"d{size}"), f"sqlite:///{folder / f'{size}.db'}"):
        env = {**os.environ, "SERVAL_HOME": str(folder / "home"), "SERVAL_DATABASE": url}
        found.append(measure(env, size, runs))
        open_engine(url).dispose()
    return found


def main(argv: list[str]) -> None:
    """Measure, print, and write the page."""
    runs = int(argv[0]) if argv else RUNS
    sizes = [int(word) for word in argv[1:]] or list(SIZES)
    programs = binaries()
    if programs is None:
        raise SystemExit("bench needs PostgreSQL: make packages")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine}, {runs} runs, load {os.getloadavg()[0]:.1f}.",
        "Median seconds of a command in a warm process; PostgreSQL runs with its durable defaults.",
        "",
        "| nodes | command | PostgreSQL | SQLite | asked for at 10,000 |",
        "|---:|---|---:|---:|---:|",
    ]
    folder = Path(tempfile.mkdtemp(prefix="serval-bench-"))
    server = PostgresServer(programs, DURABLE)
    try:
        server.start()
        for size in sizes:
            rows = zip(TARGETS.items(), *both(size, runs, server, folder), strict=True)
            lines += [
                f"| {size:,} | {name} | {postgres:.3f} | {sqlite:.3f} | {target:.1f} |"
                for (name, target), postgres, sqlite in rows
            ]
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    text = "\n".join(lines)
    print(text)
    PAGE.write_text(f"# Benchmarks of definitions\n\nWritten by `make bench-definitions`.\n\n{text}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
