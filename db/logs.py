"""The log tables, auditlog and eventlog: the newest records, and getting rid of old ones (tabprune(8))."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from core.errors import DefinitionError
from db.tables import TABLES
from db.upserts import delete_rows

#: The tables with the column that says when.
TIMES = {"auditlog": "audittime", "eventlog": "eventtime"}

Record = Mapping[str, Any]


def number(record: Record) -> int:
    """The number of a record; what is none counts as the oldest."""
    text = str(record["recid"])
    return int(text) if text.isdecimal() else -1


def log_table(name: str) -> Table:
    """The log table of that name. Raises DefinitionError for any other table."""
    if name not in TIMES:
        raise DefinitionError(f"Table {name[:80]} is no log; these are: {', '.join(sorted(TIMES))}.")
    return TABLES[name]


def records(connection: Connection, table: Table) -> list[Record]:
    """All records, oldest first."""
    return sorted((dict(row) for row in connection.execute(select(table)).mappings()), key=number)


def first(count: int) -> Callable[[list[Record]], list[Record]]:
    """Chooses the oldest records, so many."""
    return lambda found: found[:count]


def percent(share: int) -> Callable[[list[Record]], list[Record]]:
    """Chooses the oldest records, this part of all."""
    return lambda found: found[: len(found) * share // 100]


def before_record(recid: int) -> Callable[[list[Record]], list[Record]]:
    """Chooses the records with a lower number."""
    return lambda found: [record for record in found if number(record) < recid]


def before_time(table: Table, moment: str) -> Callable[[list[Record]], list[Record]]:
    """Chooses the records from before YYYY-MM-DD HH:MM:SS."""
    column = TIMES[table.name]
    return lambda found: [record for record in found if (record[column] or "") < moment]


def prune(
    connection: Connection, table: Table, choose: Callable[[list[Record]], list[Record]]
) -> list[Record]:
    """Delete the records chosen; these records."""
    chosen = choose(records(connection, table))
    delete_rows(connection, table, "recid", [record["recid"] for record in chosen])
    return chosen


def prune_all(connection: Connection, table: Table) -> list[Record]:
    """Delete all rows of any table; these rows."""
    rows: list[Record] = [dict(row) for row in connection.execute(select(table)).mappings()]
    connection.execute(delete(table))
    return rows
