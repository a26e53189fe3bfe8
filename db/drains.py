"""Members that people have drained: they get no new work (`serval sn drain`)."""

from sqlalchemy import Connection, delete, select

from db.bulk import bulk_insert
from db.jobtables import drain as drain_table


def drain(connection: Connection, name: str, who: str, reason: str, now: float) -> None:
    """No new work goes to this member; asked again, the newer reason holds."""
    row = {"name": name, "drained": now, "who": who, "reason": reason}
    bulk_insert(connection, drain_table, [row], replace_on=["name"])


def undrain(connection: Connection, name: str) -> bool:
    """The member gets work again; whether it was drained."""
    gone = delete(drain_table).where(drain_table.c.name == name).returning(drain_table.c.name)
    return connection.scalars(gone).first() is not None


def drained(connection: Connection) -> dict[str, str]:
    """Every drained member with a phrase that says why: `drained by root: disk swap`."""
    rows = connection.execute(select(drain_table).order_by(drain_table.c.name))
    return {row.name: f"drained by {row.who}" + (f": {row.reason}" if row.reason else "") for row in rows}
