"""The ways to ask BMCs for their power state: each is an argument vector for a number of BMCs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen

from bench.cluster import Cluster
from lab.box import CHECKOUT, USER

FANOUT = 256
XARGS = 64
NAIVE_CHILDREN = 8
SCRIPTS = Path(sys.executable).parent
#: ipmipower's host list is bounded; it is cut as its users cut it.
HOSTS_A_RUN = 5_000

Argv = list[str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way: `asks` gives the commands that run one after another for so many BMCs."""

    name: str
    asks: Callable[[int], list[Argv]]
    environment: dict[str, str]
    #: The largest number of BMCs that is worth the time.
    most: int = 1_000_000


def serval(cluster: Cluster, action: str = "stat") -> Way:
    """`rpower` from the shell, as its console script."""

    def asks(size: int) -> list[Argv]:
        return [[str(SCRIPTS / "rpower"), cluster.noderange(size), action, "-y"]]

    return Way(f"rpower {action}, 2 SNs, {cluster.database}", asks, cluster.box.environment)


def ipmipower(cluster: Cluster, *options: str) -> Way:
    """FreeIPMI's ipmipower with a fan-out of 256."""
    port = cluster.port
    common = [
        "-u",
        USER,
        "-p",
        cluster.box.password,
        "-D",
        "LAN_2_0",
        "-I",
        "17",
        "--stat",
        "-F",
        str(FANOUT),
    ]

    def asks(size: int) -> list[Argv]:
        hosts = [f"{address}:{port}" for address in cluster.addresses(size)]
        parts = [hosts[start : start + HOSTS_A_RUN] for start in range(0, size, HOSTS_A_RUN)]
        return [
            ["stdbuf", "-oL", "ipmipower", "-F", str(FANOUT), "-h", ",".join(part), *common, *options]
            for part in parts
        ]

    return Way(f"ipmipower -F {FANOUT}", asks, dict(os.environ))


def ipmitool(cluster: Cluster) -> Way:
    """A process of ipmitool for each BMC, 64 at a time."""
    secret = cluster.box.folder / "bmc-password"
    words = ["-I", "lanplus", "-C", "17", "-p", str(cluster.port), "-U", USER, "-f", str(secret)]

    def asks(size: int) -> list[Argv]:
        hosts = cluster.box.folder / f"hosts-{size}"
        hosts.write_text("\n".join(cluster.addresses(size)) + "\n")
        command = ["ipmitool", *words, "-H", "{}", "chassis", "power", "status"]
        return [["xargs", "-a", str(hosts), "-P", str(XARGS), "-I", "{}", *command]]

    return Way(f"ipmitool, xargs -P {XARGS}", asks, dict(os.environ), most=1_000)


@contextmanager
def naive(cluster: Cluster) -> Iterator[Way]:
    """A Celery task for each BMC (`bench.naive`), with a worker of its own on the same Redis."""
    box = cluster.box
    broker = (box.home / "run" / "broker").read_text().strip().rpartition("/")[0] + "/15"
    environment = dict(os.environ) | {
        "NAIVE_BROKER": broker,
        "NAIVE_SECRET": str(box.folder / "bmc-password"),
        "NAIVE_PORT": str(cluster.port),
    }
    start = [sys.executable, "-m", "celery", "-A", "bench.naive", "worker", "-c", str(NAIVE_CHILDREN)]
    start += ["-l", "ERROR", "--without-gossip", "--without-mingle"]

    def asks(size: int) -> list[Argv]:
        return [[sys.executable, "-m", "bench.naive", *cluster.addresses(size)]]

    worker = Popen(start, cwd=CHECKOUT, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        yield Way("a Celery task a node (pyghmi)", asks, environment, most=1_000)
    finally:
        worker.terminate()
        worker.wait(30)
