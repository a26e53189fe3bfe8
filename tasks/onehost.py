"""A service node that was given an SQLite database must be on the management node's host (PROTOCOL, rows)."""

import socket

from core.errors import RequestError
from db.home import Home
from db.onehost import ADVICE, database_file, kernel, refuse_shared
from drivers import leases
from routing.liveness import LIFE_S


def refuse_other_host(home: Home) -> None:
    """Return when a service node may use its database.

    Raises RequestError for an SQLite file that does not exist, that lies where other hosts reach it too, and
    while the management node lives on another host; UnavailableError when Redis does not answer.
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
    client = leases.connect(home.broker_url() or "")
    found = [lease for lease in leases.read_all(client).values() if lease.role == "mn" and lease.kernel]
    ages = leases.ages(client, [lease.name for lease in found])
    for lease in found:
        # An older one may be from before this host was started anew.
        if lease.kernel != kernel() and ages.get(lease.name, LIFE_S) < LIFE_S:
            raise RequestError(
                f"{home.name} is on host {socket.gethostname()} and its management node {lease.name} on "
                f"{next(iter(lease.aliases), 'another')}: they cannot share SQLite database {file}. {ADVICE}"
            )
