"""nodelist.status and appstatus with their times, for many nodes at once."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from core.nodestatus import clock
from db.bulk import bulk_update
from db.tables import nodelist


def write(connection: Connection, statuses: Mapping[str, str], now: float) -> None:
    """Set the status of nodes; those that are not defined do not mind."""
    _write(connection, "status", statuses, now)


def write_apps(connection: Connection, states: Mapping[str, str], now: float) -> None:
    """Set the states of applications, as `sshd=up`."""
    _write(connection, "appstatus", states, now)


def is_written(site: Mapping[str, str]) -> bool:
    """Whether statuses are written at all: site.nodestatus."""
    return site.get("nodestatus", "").lower() not in ("n", "no", "0")


def _write(connection: Connection, column: str, values: Mapping[str, str], now: float) -> None:
    """Rows are locked in the order of their names: several service nodes write at once."""
    names = sorted(values)
    rows = [(name, values[name], clock(now)) for name in names]
    connection.execute(
        select(nodelist.c.node).where(nodelist.c.node.in_(names)).order_by(nodelist.c.node).with_for_update()
    )
    bulk_update(connection, nodelist, ("node",), (column, f"{column}time"), rows)
