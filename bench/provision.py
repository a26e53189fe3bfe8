"""How long nodeset and makedhcp take for 100 to 10,000 nodes in pools of two, seen from the shell."""

import subprocess
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from statistics import median

from bench.cluster import Cluster
from bench.page import spread, table
from lab.box import CHECKOUT

SIZES, RUNS = (100, 1_000, 10_000), 5
IMAGE = "debian12-x86_64-netboot-compute"
FOLDER = "/install/netboot/debian12/x86_64/compute"
FILES = ("kernel", "initrd-stateless.gz", "rootimg.sfs")
#: Octets from 10 to 99, so that decimal digits make a MAC address.
MAC = r"|n(\d+)|02:00:00:(10+($1/8100)%90):(10+($1/90)%90):(10+$1%90)|"
IP = r"|n(\d+)|10.(1+($1/65536)).(($1/256)%256).($1%256)|"
#: What is measured → words after the noderange or before it, taken in turn so that something changes.
COMMANDS: dict[str, Sequence[str]] = {
    "nodeset, every node changes": ("nodeset {nodes} boot", f"nodeset {{nodes}} osimage={IMAGE}"),
    "nodeset, nothing changes": (f"nodeset {{nodes}} osimage={IMAGE}",),
    "makedhcp, every node changes": ("makedhcp -d {nodes}", "makedhcp {nodes}"),
    "makedhcp, nothing changes": ("makedhcp {nodes}",),
}

NOTE = """Pools of two service nodes, which share this machine with everything else; `sharedtftp=0`. Each run
is a whole command from the shell, until every member of the pools has written its files (the daemons
themselves do not run)."""


def compare(of: Cluster) -> str:
    """The table for each size and command."""
    prepare(of)
    rows = []
    for size in SIZES:
        nodes = of.noderange(min(size, of.box.bmcs))
        for name, ways in COMMANDS.items():
            turn = cycle(ways)
            ask(of, next(turn), nodes)
            took = [ask(of, next(turn), nodes) for _ in range(RUNS)]
            rate = f"{size / median(took):,.0f}"
            rows.append([f"{size:,}", name, *spread(took), rate, str(RUNS)])
    heads = ["nodes", "command", "median s", "min-max s", "nodes/s", "runs"]
    return f"{NOTE} On {of.database}.\n\n{table(heads, rows)}"


def prepare(of: Cluster) -> None:
    """Image, addresses and network."""
    place = Path(of.box.environment["SERVAL_ROOT"]) / FOLDER.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (place / file).write_text("")
    must = of.box.must
    image = ["osvers=debian12", "osarch=x86_64", "profile=compute", "provmethod=netboot"]
    must("mkdef", "-t", "osimage", "-o", IMAGE, *image, f"rootimgdir={FOLDER}")
    must("chdef", "-t", "group", "-o", "compute", "netboot=xnba", "arch=x86_64", f"mac={MAC}", f"ip={IP}")
    must("chtab", "net=10.0.0.0", "networks.mask=255.0.0.0", "networks.netname=provision")
    must("chtab", "key=sharedtftp", "site.value=0")
    must("chtab", "key=installloc", "site.value=/install")  # all have the image, nothing is copied
    must("chdef", "-t", "group", "-o", "service", "setupdhcp=1")


def ask(of: Cluster, words: str, nodes: str) -> float:
    """Run a command; the seconds it took. Raises RuntimeError when a node is not ok."""
    argv = of.box.argv(words.format(nodes=nodes).split())
    began = time.perf_counter()
    done = subprocess.run(
        argv, cwd=CHECKOUT, env=of.box.environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{words}: exit status {done.returncode}: {done.stderr[-500:]}")
    return time.perf_counter() - began
