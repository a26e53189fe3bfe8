"""nodelist.status and its time, for many nodes at once."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from core.nodestatus import clock
from db.bulk import bulk_update
from db.tables import nodelist


def write(connection: Connection, statuses: Mapping[str, str], now: float) -> None:
    """Set the status of nodes, which are locked in the order of their names; others do not mind."""
    names = sorted(statuses)
    rows = [(name, statuses[name], clock(now)) for name in names]
    connection.execute(
        select(nodelist.c.node).where(nodelist.c.node.in_(names)).order_by(nodelist.c.node).with_for_update()
    )
    bulk_update(connection, nodelist, ("node",), ("status", "statustime"), rows)
