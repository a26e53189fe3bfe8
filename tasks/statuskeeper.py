"""The keeper's side of the node status port: it holds the listening socket, and the process that serves it.

So a node that reports while the process is started again only waits, and what strangers do to the process
neither lease nor supervisor feel.
"""

import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from core.errors import RequestError, ServalError
from core.nodestatus import DEFAULT_PORT
from db.engine import open_engine, reading
from db.home import Home
from db.lookup import site_values
from drivers.statusport import listen
from tasks.app import die_with_parent

log = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parent.parent
#: A port that is taken is tried again so soon.
AGAIN_S = 5.0


class StatusProcess:
    """The keeper's side: it opens the port, and starts the process whenever there is none."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._tried = float("-inf")

    @property
    def port(self) -> int:
        """The port that is open, 0 when it is not."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    def look(self) -> None:
        """Open the port and start the process where they are missing. On the main thread only."""
        if self._socket is None and time.monotonic() - self._tried >= AGAIN_S:
            self._tried = time.monotonic()
            try:
                self._socket = listen(wanted_port(self._home))
            except ServalError as error:
                log.warning("%s; nodes cannot report to %s", error.message, self._home.name)
        if self._socket is not None and (self._process is None or self._process.poll() is not None):
            self._start(self._socket)

    def _start(self, listening: socket.socket) -> None:
        if self._process is not None:
            log.warning("the node status port's process ended; starting it again")
        home = self._home
        own = {"SERVAL_HOME": str(home.path), "SERVAL_NAME": home.name, "SERVAL_MN": home.mn}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.nodestatus", str(listening.fileno())],
            cwd=CHECKOUT,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
            preexec_fn=die_with_parent,
        )

    def end(self) -> None:
        """Stop the process; what nodes said and was not confirmed they say again."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def wanted_port(home: Home) -> int:
    """The port that nodes are told: `status_port` of this host, else site.xcatiport.

    Raises RequestError when it is none, UnavailableError without a database.
    """
    if home.status_port is not None:
        return home.status_port
    with reading(open_engine(home.database)) as connection:
        text = site_values(connection).get("xcatiport", str(DEFAULT_PORT))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise RequestError(f"site.xcatiport is {text!r}, which is no port")
    return int(text)
