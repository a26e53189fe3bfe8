"""How long 100,000 names take: noderanges and regex values against a cluster held in dictionaries.

python -m bench.noderange [nodes]
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

from core.fold import fold
from core.noderange import expand, names
from core.regexattr import apply

RACK = 50


class Cluster:
    """`count` nodes n000001 …, in racks of fifty, ten of them hmc and the rest ipmi in every hundred."""

    def __init__(self, count: int) -> None:
        self._nodes = {
            f"n{i:06}": [f"rack{(i - 1) // RACK + 1}", "compute", "all"] for i in range(1, count + 1)
        }
        self._groups: dict[str, list[str]] = {}
        for node, groups in self._nodes.items():
            for group in groups:
                self._groups.setdefault(group, []).append(node)
        self._mgt = {node: "hmc" if node[-2] == "9" else "ipmi" for node in self._nodes}

    def nodes(self) -> Mapping[str, Sequence[str]]:
        return self._nodes

    def group(self, name: str) -> Sequence[str] | None:
        return self._groups.get(name)

    def values(self, table: str, column: str) -> Mapping[str, str] | None:
        return self._mgt if (table, column) == ("nodehm", "mgt") else None

    def excluded(self) -> str:
        return ""


def timed(label: str, work: Callable[[], Sequence[str]]) -> None:
    start = time.perf_counter()
    found = len(work())
    print(f"{time.perf_counter() - start:7.3f} s  {found:7,} names  {label}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    cluster = Cluster(count)
    every = list(cluster.nodes())
    texts = [
        f"n[000001-{count:06}]",
        f"n000001-n{count:06}",
        f"n000001+{count - 1}",
        "all,-rack3",
        "all@compute,-rack[1-100]",
        f"rack[1-{count // RACK}]",
        "/n.*5",
        "mgt==hmc",
        "nodehm.mgt!~/^ip/",
        "mgt=~i.*i@compute",
    ]
    for text in texts:
        timed(text, lambda text=text: expand(text, cluster).nodes)  # type: ignore[misc]
    listed = ",".join(every)
    timed("every name written out", lambda: expand(listed, cluster).nodes)
    folded = fold(every[::2])
    timed("every second name, folded", lambda: expand(folded, cluster).nodes)
    timed("as many unknown names (missed)", lambda: expand(f"x[1-{count}]", cluster).missed)
    timed("names() without a cluster", lambda: names(f"n[1-{count}]"))
    for value in (
        r"|n(\d+)|10.1.(($1-1)/250).(($1-1)%250+1)|",
        "|10.($1/65536).(($1/256)%256).($1%256)|",
        r"/\z/-bmc/",
    ):
        timed(f"regex value {value}", lambda value=value: [apply(value, node) for node in every])  # type: ignore[misc]


if __name__ == "__main__":
    main()
