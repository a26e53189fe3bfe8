"""monserver: a service node looks whether the nodes that name it answer, and records it (noderes.monserver).

xCAT has this done by a monitoring plug-in such as xcatmon, whose interval in minutes is the row
`xcatmon,ping-interval` of the monsetting table; it counts here too.
"""

import time
from dataclasses import dataclass

from core import monitoring
from core.services.wanted import YES, Service
from db import nodestatus
from db.cells import find_rows
from db.engine import Connection, Engine, reading, writing
from db.home import Home
from db.lookup import effective, site_values
from db.tables import TABLES
from drivers.nodeprobe import Answer, look
from drivers.resolve import Resolver
from routing.hosttables import monitored_by
from routing.syncing import own_names

#: How often a host that monitors nobody looks whether it shall.
IDLE_S = 30.0
PRODUCT, KEY = "xcatmon", "ping-interval"


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom this host looks at, and how often."""

    #: node → what nodelist.status says.
    statuses: dict[str, str]
    #: node → address or name.
    hosts: dict[str, str]
    interval_s: float


def turn(home: Home, engine: Engine) -> float:
    """Look at every node once, and record what changed; the seconds until the next look.

    Raises UnavailableError when the database does not answer.
    """
    with reading(engine) as connection:
        watch = read_watch(connection, home)
    if watch is None:
        return IDLE_S
    resolver = Resolver()
    known = resolver.addresses(set(watch.hosts.values()))
    resolver.close()
    found = look({node: known[host] for node, host in watch.hosts.items() if host in known})
    changes = {
        node: status
        for node, old in watch.statuses.items()
        if (status := monitoring.changed(old, found.get(node, Answer.NOPING) is not Answer.NOPING))
    }
    if changes:
        with writing(engine) as connection:
            nodestatus.write(connection, changes, time.time())
    return watch.interval_s


def read_watch(connection: Connection, home: Home) -> Watch | None:
    """What the tables ask of this host; None when it looks at nobody (site.nodestatus)."""
    names = own_names(home)
    rows = effective(connection, {"servicenode": [Service.MONITOR]}, names)
    asked = any(row.get("servicenode.monserver", "").lower() in YES for row in rows.values())
    if not asked or not nodestatus.is_written(site_values(connection)):
        return None
    nodes = monitored_by(connection, names)
    values = effective(connection, {"nodelist": ["status"], "hosts": ["ip"]}, nodes, {})
    row = next(iter(find_rows(connection, TABLES["monsetting"], {"name": PRODUCT, "key": KEY})), {})
    return Watch(
        statuses={node: values.get(node, {}).get("nodelist.status", "") for node in nodes},
        hosts={node: values.get(node, {}).get("hosts.ip", node) for node in nodes},
        interval_s=monitoring.interval_s(row.get("value") or ""),
    )
