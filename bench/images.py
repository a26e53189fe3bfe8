"""How long a Debian compute image takes to be built and packed, seen from the shell."""

from bench.cluster import Cluster
from bench.page import spread, table
from bench.provision import ask
from lab.image import SUITE, debian_mirror

IMAGE = "debian12-x86_64-netboot-compute"
#: What is measured → the commands of one run, and how many runs.
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "genimage, packages fetched": ((f"genimage {IMAGE} --fresh",), 1),
    "genimage and packimage, packages in the cache": ((f"genimage {IMAGE} --fresh", f"packimage {IMAGE}"), 3),
    "genimage, nothing changes": ((f"genimage {IMAGE}",), 5),
    "packimage -m squashfs -c zstd": ((f"packimage {IMAGE} -m squashfs -c zstd",), 3),
    "packimage -m cpio -c gzip": ((f"packimage {IMAGE} -m cpio -c gzip",), 3),
}

NOTE = """The shipped lists of profile `compute`, Debian 12 from the mirror that apt knows here; run as root
on the management node, which is this machine."""


def compare(of: Cluster) -> str:
    """The table."""
    method = ("osvers=debian12", "osarch=x86_64", "profile=compute", "provmethod=netboot")
    sources = f"pkgdir={debian_mirror()} {SUITE} main"
    of.box.must("mkdef", "-f", "-t", "osimage", "-o", IMAGE, *method, sources)
    rows = []
    for name, (commands, runs) in COMMANDS.items():
        took = [sum(ask(of, words, "") for words in commands) for _ in range(runs)]
        rows.append([name, *spread(took), str(runs)])
    return f"{NOTE}\n\n{table(['command', 'median s', 'min-max s', 'runs'], rows)}"
