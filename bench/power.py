"""Power state of 1 to 10,000 BMCs in every way, and of 100,000 once."""

from collections.abc import Iterator

from bench.cluster import Cluster, cluster
from bench.page import speed_table
from bench.runs import Median, measure
from bench.ways import Way, ipmipower, ipmitool, naive, serval

#: Number of BMCs → how many runs of what is fast.
SIZES = {1: 15, 100: 9, 1_000: 7, 5_000: 5, 10_000: 5}
#: What takes longer runs once.
SLOW_S = 15.0
#: Runs of what is not asked for more than a thousand BMCs and takes more than a second.
FEW, FEW_FROM = 3, 1_000
HUGE = 100_000

NOTE = """`rpower <noderange> stat` as its console script through the command server, two service nodes, every
outcome in the database before it is printed; PostgreSQL on disk with its durable defaults (fsync, synchronous
commit). Simulator, Redis, database, service nodes and client share these cores; all ask the same kind of
simulated BMCs, which answer at once. ipmitool and the naive Celery are not asked for more than 1,000."""


def compare(postgres: Cluster) -> str:
    """The table of all ways."""
    with naive(postgres) as tasks:
        found = list(_rows(postgres, [tasks]))
    found += _rows(postgres, [serval(postgres), ipmipower(postgres), ipmitool(postgres)])
    with cluster("SQLite", postgres.box.bmcs) as sqlite:
        found += _rows(sqlite, [serval(sqlite)])
    found.sort(key=lambda median: median.size)
    return f"{NOTE}\n\n{speed_table(found)}"


def _rows(of: Cluster, ways: list[Way]) -> Iterator[Median]:
    for size, runs in SIZES.items():
        for way in ways:
            if size <= min(way.most, of.box.bmcs):
                yield _median(way, size, runs)


def _median(way: Way, size: int, runs: int) -> Median:
    first = measure(way, size, 1)
    # What is slow is measured once; of the rest the first run, which finds everything cold, does not count.
    if first.end_s > SLOW_S:
        return first
    return measure(way, size, min(runs, FEW) if way.most <= FEW_FROM and first.end_s > 1 else runs)


def huge() -> str:
    """A hundred thousand BMCs, once."""
    with cluster("PostgreSQL", HUGE) as large:
        measure(serval(large), 100, 1)
        found = [measure(serval(large), size, 1) for size in (10_000, HUGE)]
    return "One run each in a cluster of 100,000 nodes.\n\n" + speed_table(found)
