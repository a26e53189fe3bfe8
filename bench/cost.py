"""What 10,000 BMCs cost: CPU seconds and peak memory of each kind of process, from /proc."""

import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import Cluster
from bench.page import table
from bench.runs import measure
from bench.ways import serval

TICKS = os.sysconf("SC_CLK_TCK")

NOTE = """One `rpower compute stat`. Peak memory is that of the largest process of its kind while it ran;
processes of one kind share much of it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment; CPU includes its children that have ended."""

    kind: str
    cpu_s: float
    peak_mb: float


def compare(of: Cluster) -> str:
    """The table for one run over all BMCs."""
    size = of.box.bmcs
    way = serval(of)
    measure(way, size, 1)
    before = dict(usages(of))
    for pid in before:
        with suppress(FileNotFoundError, ProcessLookupError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = measure(way, size, 1)
    after, spent = dict(usages(of)), resource.getrusage(resource.RUSAGE_CHILDREN)
    kinds: dict[str, list[Usage]] = defaultdict(list)
    for pid, usage in after.items():
        begun = before[pid].cpu_s if pid in before else 0.0
        kinds[usage.kind].append(Usage(usage.kind, usage.cpu_s - begun, usage.peak_mb))
    rows = [_row(kind, found) for kind, found in sorted(kinds.items())]
    client_s = spent.ru_utime + spent.ru_stime - client.ru_utime - client.ru_stime
    rows.append(["client (rpower)", "1", f"{client_s:.2f}", ""])
    note = f"{NOTE} It took {took.end_s:.2f} s on {os.cpu_count()} cores, on {of.database}."
    return f"{note}\n\n{table(['process', 'processes', 'CPU s, sum', 'peak MB, largest'], rows)}"


def _row(kind: str, found: list[Usage]) -> list[str]:
    cpu_s, peak_mb = sum(each.cpu_s for each in found), max(each.peak_mb for each in found)
    return [kind, str(len(found)), f"{cpu_s:.2f}", f"{peak_mb:.0f}"]


def usages(of: Cluster) -> Iterator[tuple[int, Usage]]:
    """Process id → usage, for everything that the cluster consists of."""
    parents = {}
    words = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                words[int(folder.name)] = (folder / "cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)] = int(stat[1])
    groups = {name: of.box.group(name) for name in ("mn1", *of.box.sns)}
    for pid in words:
        with suppress(FileNotFoundError, ProcessLookupError):
            kind = _kind(of, pid, parents, words, groups)
            if kind:
                yield pid, _usage(kind, pid)


def _kind(
    of: Cluster, pid: int, parents: dict[int, int], words: dict[int, list[str]], groups: dict[str, int]
) -> str:
    """What a process is; "" when it is not of this cluster."""
    own = words[pid]
    server = int((of.box.home / "run" / "server.pid").read_text())
    if server in (pid, parents[pid]):
        return "MN: command server"
    if pid == of.box.redis_pid():
        return "Redis"
    if "lab.sim" in own and str(of.box.folder / "sim.sock") in own:
        return "simulator of all BMCs"
    if of.server is not None and of.server.pid in (pid, parents[pid]):
        return "PostgreSQL"
    for name, group in groups.items():
        if group and os.getpgid(pid) == group:
            return _worker(name, words[pid])
    return ""


def _worker(name: str, own: list[str]) -> str:
    host = "MN" if name == "mn1" else "SN"
    if "ForkPoolWorker" in own[0]:
        return f"{host}: Celery pool children"
    # Celery writes titles for its own; all of them are forks of tasks.workers.
    return f"{host}: Celery workers" if "celeryd" in own[0] or "tasks.workers" in own else f"{host}: keeper"


def _usage(kind: str, pid: int) -> Usage:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    return Usage(kind, sum(map(int, stat[11:15])) / TICKS, peak / 1024)
