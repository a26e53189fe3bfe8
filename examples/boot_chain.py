"""Boot nodes from the network: set the boot device, reset, and wait until they are on again.

    python examples/boot_chain.py compute

Each step gets the nodes that the step before left ok. The chain is in the database before anything of it
runs: it goes on when this program is killed, and when the management node is started again.
"""

import sys

from celery import chain

from core.errors import ServalError
from tasks.jobs import result, wait_for
from tasks.power import rpower, rsetboot


def main(noderange: str) -> int:
    """Exit status 0 when every node came through all steps."""
    last = chain(rsetboot.s(noderange, "net"), rpower.s("reset"), wait_for.s("on", timeout=300))()
    asked = [last.parent.parent, last.parent, last]
    well = True
    for step in asked:
        done = result(step)
        print(f"{done.command}: {done}", flush=True)
        well = well and done.well
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2]))
    except ServalError as error:
        sys.exit(f"Error: {error.message}")
