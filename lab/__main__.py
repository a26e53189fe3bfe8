"""`make lab`: nodes boot from their first service node, that one is killed, and they boot from the next.

Everything is really there but the hardware; docs/how-to/laboratory.md shows what to do with it.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from core.errors import ServalError, UnavailableError
from lab.image import cache_folder, image
from lab.images import images
from lab.laboratory import Laboratory
from lab.machine import accelerator
from lab.namespaces import namespaces, sweep
from lab.preseed import install
from lab.serviceimage import service_node
from lab.stages import Stages
from lab.tables import OSIMAGE, SNS

#: What happens in a laboratory that is built.
Story = Callable[[Laboratory, Stages], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """How many nodes there are, and how they boot (lab/laboratory.py)."""

    nodes: int = 1
    firmware: str = "bios"
    netboot: str = "xnba"


def run(kind: Kind, *, keep: bool = False, out: TextIO = sys.stdout, tell: Story | None = None) -> None:
    """The whole story, or `tell` in its place; removes all it made.

    Raises ServalError when anything is not as it should be.
    """
    stages = Stages(out)
    with stages.stage("kernel, initramfs and Debian (from the cache, or built)"):
        built = image(cache_folder())
    with stages.stage("is there a KVM that works?"):
        how = accelerator(built)
    folder = Path(tempfile.mkdtemp(prefix="serval-lab-"))
    folder.chmod(0o755)  # nginx and PostgreSQL have users of their own
    with namespaces(folder) as spaces:
        lab = Laboratory(spaces, built, how, kind.nodes, kind.firmware, kind.netboot)
        try:
            build(lab, stages)
            (tell or story)(lab, stages)
        finally:
            if keep:
                spaces.keep()
                out.write(f"\nIt is left running. Enter it with: {folder}/enter mn1\n")
                out.write("Remove it with: make lab ARGS=--clean\n")


def build(lab: Laboratory, stages: Stages) -> None:
    """A management node, service nodes with their services, and nodes that are switched off."""
    with stages.stage("networks"):
        lab.wire()
    with stages.stage("PostgreSQL, Redis, management node, tables"):
        lab.start_mn()
    with stages.stage("service nodes up, their daemons answer"):
        lab.start_sns()
    with stages.stage(f"machines with BMCs ({lab.accelerator})"):
        lab.start_machines()


def story(lab: Laboratory, stages: Stages) -> None:
    """Boot, kill, boot, come back."""
    first, second = SNS
    with stages.stage("nodeset"):
        lab.must("nodeset", "compute", f"osimage={OSIMAGE}", "--wait")
    with stages.stage(f"rpower on: booted from {first}"):
        lab.boot("on", first)
    with stages.stage(f"{first} killed"):
        lab.kill(first)
    with stages.stage(f"rpower boot: booted from {second}"):
        lab.boot("boot", second)
    with stages.stage(f"another nodeset; {first} is started and catches up"):
        lab.catch_up(first)


def stopped(*_: object) -> NoReturn:
    """SIGTERM ends it as Ctrl-C does: with everything removed."""
    raise KeyboardInterrupt


def main(words: list[str]) -> int:
    """Run the laboratory; 0 when all went as it should."""
    parser = argparse.ArgumentParser(prog="make lab", description="A cluster in network namespaces and QEMU.")
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, 100), metavar="N", help="QEMU nodes")
    parser.add_argument("--firmware", default="bios", choices=("bios", "uefi"), help="of the nodes")
    parser.add_argument("--netboot", default="xnba", choices=("xnba", "grub2", "pxe"), help="the loader")
    parser.add_argument("--keep", action="store_true", help="leave it running, come what may")
    parser.add_argument("--clean", action="store_true", help="remove what was left running, and end")
    parser.add_argument(
        "--service-image", nargs="?", const="", metavar="FOLDER",
        help="boot a service node from its image (of this rootimgdir, else built) instead of all this",
    )  # fmt: skip
    parser.add_argument("--images", action="store_true", help="make images by genimage, and boot each form")
    parser.add_argument("--install", action="store_true", help="install a node to its disk by preseed")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, stopped)
    try:
        for name in sweep(kept=options.clean):
            sys.stdout.write(f"removed what was left of {name}\n")
        if options.clean:
            return 0
        if os.geteuid() != 0:
            raise UnavailableError("the laboratory makes network namespaces and a Debian: start it as root")
        if options.service_image is not None:
            service_node(options.service_image, Stages(sys.stdout), keep=options.keep)
        else:
            kind = Kind(options.nodes, options.firmware, options.netboot)
            tell = install if options.install else images if options.images else None
            run(kind, keep=options.keep, tell=tell)
    except ServalError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; everything is removed.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
