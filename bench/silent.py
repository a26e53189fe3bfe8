"""BMCs that answer in 50 ms, some of them never: when is the last living one printed, when is the end."""

from bench.cluster import Cluster
from bench.page import seconds, table
from bench.runs import Median, measure
from bench.ways import ipmipower, serval

LATENCY_S = 0.05
TIMEOUT_S, RETRIES = 0.3, 5
DEADLINE_S = TIMEOUT_S * RETRIES
RUNS, SLOW_RUNS = 5, 2
#: One BMC in so many is silent; 0: none.
ONE_IN = {"all answer": 0, "2 % silent": 50, "10 % silent": 10}

NOTE = f"""Every BMC takes {LATENCY_S * 1000:.0f} ms for each datagram. Pools of two service nodes,
`site.ipmitimeout={TIMEOUT_S} ipmiretries={RETRIES}`: a silent BMC costs one deadline of {DEADLINE_S:g} s
on each of the two. ipmipower is given the same {DEADLINE_S:g} s (`--session-timeout`), once."""


def compare(of: Cluster) -> str:
    """The table, of rpower and of ipmipower."""
    control, size = of.box.control, of.box.bmcs
    settings = (
        f"--session-timeout={DEADLINE_S * 1000:.0f}",
        f"--retransmission-timeout={TIMEOUT_S * 1000:.0f}",
    )
    ways = ((serval(of), RUNS), (ipmipower(of, *settings), SLOW_RUNS))
    rows: list[list[str]] = []
    of.box.must("chdef", "-t", "site", "clustersite", f"ipmitimeout={TIMEOUT_S}", f"ipmiretries={RETRIES}")
    try:
        for kind, one_in in ONE_IN.items():
            control.heal()
            control.faults("all", latency=LATENCY_S)
            dead = of.addresses(size)[::one_in] if one_in else []
            if dead:
                control.faults(dead, silent=True)
            rows += [_row(kind, measure(way, size, runs, len(dead))) for way, runs in ways]
    finally:
        control.heal()
        of.box.must("chdef", "-t", "site", "clustersite", "ipmitimeout=", "ipmiretries=")
    heads = ["BMCs", "kind", "command", "last living one, s", "end, s", "min-max s", "runs"]
    return f"{NOTE}\n\n{table(heads, rows)}"


def _row(kind: str, m: Median) -> list[str]:
    spread = f"{seconds(m.least_s)}-{seconds(m.most_s)}"
    return [f"{m.size:,}", kind, m.name, seconds(m.last_s), seconds(m.end_s), spread, str(m.runs)]
