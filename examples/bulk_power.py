"""Power nodes and say what became of each.

    python examples/bulk_power.py compute on

The program needs SERVAL_HOME and nothing else. Exit status 0 means that every node is ok.
"""

import sys

from core.errors import ServalError
from tasks.jobs import result
from tasks.power import rpower


def main(noderange: str, action: str) -> int:
    """Ask for one job and wait for its end."""
    done = result(rpower.delay(noderange, action))
    for node, answer in done.nodes.items():
        print(f"{node}: {answer.outcome}: {answer.text}")
    print(f"job {done.job}: {done}", file=sys.stderr)
    return 0 if done.well else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:3]))
    except ServalError as error:
        sys.exit(f"Error: {error.message}")
