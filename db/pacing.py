"""syspowerinterval and syspowermaxnodes: one row that all supervisors spend from (xCAT site(5))."""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.jobspec import Pace
from db.jobtables import pacing


def spend(connection: Connection, pace: Pace, wanted: int, now: float) -> int:
    """How many of `wanted` nodes may be powered in the present interval; they count as spent.

    The row stays locked until the transaction ends, so two supervisors never spend the same place. A clock
    that was set back opens a new interval.
    """
    dialect_insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    first = dialect_insert(pacing).values(id=1, opened=now, spent=0)
    connection.execute(first.on_conflict_do_nothing(index_elements=["id"]))
    row = connection.execute(select(pacing).where(pacing.c.id == 1).with_for_update()).one()
    opened, spent = row.opened, row.spent
    if not 0 <= now - opened < pace.interval_s:
        opened, spent = now, 0
    granted: int = max(0, min(wanted, pace.nodes - spent))
    if granted:
        connection.execute(
            update(pacing).where(pacing.c.id == 1).values(opened=opened, spent=spent + granted)
        )
    return granted
