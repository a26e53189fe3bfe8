"""A service node is killed in the middle of a reset of a thousand nodes: when is the last outcome."""

import signal
import time
from statistics import median

from bench.cluster import Cluster
from bench.page import seconds, table
from bench.runs import Run, run
from bench.ways import serval

SIZE, AFTER, RUNS = 1_000, 150, 5
LATENCY_S = 0.05

NOTE = f"""`rpower <{SIZE:,} nodes> reset` with BMCs of {LATENCY_S * 1000:.0f} ms;
sn1 and all its processes get `kill -9` when {AFTER} outcomes are printed. Seconds from that moment to the end
of the command, and without the kill from the same moment.
What was marked as sent by the killed one and not answered ends as `unknown` and is not sent again."""


def compare(of: Cluster) -> str:
    """The table: with the kill and without."""
    rows = []
    of.box.control.power("all", True)
    of.box.control.faults("all", latency=LATENCY_S)
    try:
        _reset(of, kill=False)
        for name, kill in (("nobody is killed", False), ("kill -9 of sn1", True)):
            found = [_reset(of, kill) for _ in range(RUNS)]
            took = [each[0] for each in found]
            unknown = [SIZE - each[1].answers for each in found]
            spread = f"{seconds(min(took))}-{seconds(max(took))}"
            rows.append([name, seconds(median(took)), spread, f"{median(unknown):.0f}", str(RUNS)])
    finally:
        of.box.control.heal()
    return f"{NOTE}\n\n{table(['command', 'median s', 'min-max s', 'not ok', 'runs'], rows)}"


def _reset(of: Cluster, kill: bool) -> tuple[float, Run]:
    moment = 0.0

    def look(count: int) -> None:
        nonlocal moment
        if count == AFTER:
            moment = time.perf_counter()
            if kill:
                of.box.signal("sn1", signal.SIGKILL)

    found = run(serval(of, "reset"), SIZE, look)
    if not moment:
        raise RuntimeError(f"rpower reset gave {found.answers} answers")
    took = time.perf_counter() - moment
    if kill:
        of.box.up()
        time.sleep(3)  # four beats make it live
    return took, found
