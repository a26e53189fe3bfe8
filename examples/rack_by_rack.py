"""Do one rack after the other, and stop as soon as more than 5 % of the nodes so far have failed.

    python examples/rack_by_rack.py reset rack1 rack2 rack3

Each rack is a group, or any other noderange. What was stopped can be gone on with: see the last line printed.
"""

import sys

from core.errors import ServalError
from core.fold import fold
from tasks.jobs import result
from tasks.power import rpower

MOST_FAILED = 0.05


def main(action: str, *racks: str) -> int:
    """Exit status 0 when all racks are done, 1 when it stopped."""
    nodes, failed = 0, []
    for place, rack in enumerate(racks):
        done = result(rpower.delay(rack, action))
        print(f"{rack}: {done}", flush=True)
        nodes += len(done.nodes)
        failed += done.failed
        if len(failed) > MOST_FAILED * nodes:
            print(f"stopped: {len(failed)} of {nodes} nodes failed: {fold(failed)}")
            print(f"not done: {' '.join(racks[place + 1 :]) or 'nothing'}")
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except ServalError as error:
        sys.exit(f"Error: {error.message}")
