"""A service node that was given an SQLite database must be on the management node's host (PROTOCOL, rows)."""

import logging
import socket
import time

from core.errors import RequestError, UnavailableError
from core.lease import Lease
from db.home import Home
from db.onehost import ADVICE, database_file, kernel, refuse_shared
from drivers import leases
from routing.liveness import LIFE_S

log = logging.getLogger(__name__)

#: Between two tries to reach Redis, without which a service node can do nothing anyway, in seconds.
AGAIN_S = 1.0


def refuse_other_host(home: Home) -> None:
    """Return when a service node may use its database.

    Waits for Redis. Raises RequestError for an SQLite file that does not exist, that lies where other hosts
    reach it too, and while the management node lives on another host.
    """
    file = database_file(home.database)
    if file is None:
        return
    if not file.exists():
        raise RequestError(
            f"SQLite database {file} does not exist on {socket.gethostname()}; set `database` in serval.toml "
            f"to the URL that the management node uses. {ADVICE}"
        )
    refuse_shared(home.database)
    for lease in living(home):
        if lease.role == "mn" and lease.kernel not in ("", kernel()):
            raise RequestError(
                f"{home.name} is on host {socket.gethostname()} and its management node {lease.name} on "
                f"{next(iter(lease.aliases), 'another')}: they cannot share SQLite database {file}. {ADVICE}"
            )


def living(home: Home) -> list[Lease]:
    """The leases that were renewed a moment ago; older ones may be from before this host was started anew."""
    client = leases.connect(home.broker_url() or "")
    while True:
        try:
            found = leases.read_all(client)
            ages = leases.ages(client, list(found))
            return [lease for name, lease in found.items() if ages.get(name, LIFE_S) < LIFE_S]
        except UnavailableError as error:
            log.warning("%s", error.message)
            time.sleep(AGAIN_S)
