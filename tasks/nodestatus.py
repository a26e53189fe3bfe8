"""The process behind the port that booting nodes report their status to: `python -m tasks.nodestatus FD`.

It runs beside the Celery workers and knows no Celery; tasks/statuskeeper.py starts it.
"""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

from core.fold import fold
from core.lease import Lease
from db.engine import open_engine
from db.home import open_home
from drivers.resolve import host_names
from drivers.statusport import StatusPort
from routing.liveness import answers
from routing.nodestatus import Registrar

log = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parent.parent
ADVANCE_S = 60.0


def advance(nodes: list[str]) -> set[str]:
    """Move nodes on to the next step of their chains; those for which that failed.

    As a command, because a service node leaves what writes to the management node.
    """
    words = [sys.executable, "-m", "cli.main", "nodeset", fold(nodes), "next"]
    try:
        done = subprocess.run(
            words, cwd=CHECKOUT, capture_output=True, text=True, timeout=ADVANCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        log.warning("nodeset %s next did not end", fold(nodes))
        return set(nodes)
    if done.returncode:
        log.warning("nodeset %s next: %s", fold(nodes), done.stderr.strip())
    return set(nodes) - {line.partition(":")[0] for line in done.stdout.splitlines()}


def main(listening: socket.socket) -> None:
    """Serve until killed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keeper hears Ctrl-C and ends this process
    home, names = open_home(), host_names()
    own = Lease(name=home.name, beat=0, boot="", aliases=names if home.name in names else ())
    serves = None if home.name == home.mn else lambda name: answers(own, name)
    registrar = Registrar(open_engine(home.database, brisk=True), home.mn, serves, advance)
    asyncio.run(StatusPort(registrar.who, registrar.record).serve(listening))


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
