"""What one writes in an afternoon: a Celery task for each BMC, pyghmi in the task, no database, no failover.

python -m bench.naive ADDRESS …
"""

import os
import sys
from pathlib import Path

from celery import Celery, group
from pyghmi.ipmi.command import Command

from lab.box import USER

BROKER = os.environ["NAIVE_BROKER"]
app = Celery("naive", broker=BROKER, backend=BROKER)
app.conf.task_default_queue = "naive"


@app.task(name="naive.stat")  # type: ignore[untyped-decorator]
def stat(address: str) -> str:
    """The power state behind one address."""
    password = Path(os.environ["NAIVE_SECRET"]).read_bytes().strip()
    bmc = Command(address, USER.encode(), password, port=int(os.environ["NAIVE_PORT"]))
    try:
        return str(bmc.get_power()["powerstate"])
    finally:
        bmc.ipmi_session.logout()


def main(addresses: list[str]) -> None:
    """Ask them all and print."""
    states = group(stat.s(address) for address in addresses)().get()
    for address, state in zip(addresses, states, strict=True):
        print(f"{address}: {state}")


if __name__ == "__main__":
    main(sys.argv[1:])
