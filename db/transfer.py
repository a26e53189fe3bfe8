"""Copying a whole database into another one, SQLite or PostgreSQL, and proving that nothing was lost.

Both ends are held in one transaction each: nobody writes to the source meanwhile, and the target gets all of
it or nothing. The source is only read.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, select, text

from core.errors import RequestError
from db import imagetables, jobtables, servicetables, steptables, tables, wantedtables
from db.base import metadata
from db.bulk import CHUNK, bulk_insert
from db.engine import one_writer, where, writing
from db.schema import upgrade

#: Importing them puts their tables on the metadata.
DECLARED = (tables, imagetables, jobtables, servicetables, steptables, wantedtables)
MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table has, and a checksum over them that does not depend on their order."""

    rows: int
    checksum: str


def copy(source: Engine, target: Engine, replace: bool = False) -> dict[str, Sum]:
    """Copy every table; what was copied, by table.

    Raises RequestError when the target has rows (unless `replace`), and when what arrived is not what was
    sent; the target is then as empty as it was.
    """
    if source.url == target.url:
        raise RequestError(f"Both are the same: {where(source)}.")
    upgrade(source)
    upgrade(target)
    with _held(source) as reading, writing(target) as writing_to:
        one_writer(writing_to)
        _make_room(writing_to, target, replace)
        sent = {table.name: _copy_table(reading, writing_to, table) for table in metadata.sorted_tables}
        _copy_counters(reading, writing_to)
        for table in metadata.sorted_tables:
            arrived = table_sum(writing_to, table)
            if arrived != sent[table.name]:
                raise RequestError(
                    f"Table {table.name}: {sent[table.name]} was sent to {where(target)}, {arrived} arrived; "
                    "nothing was kept there."
                )
    return sent


@contextmanager
def _held(source: Engine) -> Iterator[Connection]:
    """A transaction in which nobody else writes to the source. It changes nothing and is rolled back."""
    with writing(source) as connection:
        if connection.dialect.name == "postgresql":
            names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
            connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
        yield connection


def _make_room(connection: Connection, target: Engine, replace: bool) -> None:
    for table in reversed(metadata.sorted_tables):
        if replace:
            connection.execute(delete(table))
        elif connection.execute(select(func.count()).select_from(table)).scalar():
            raise RequestError(
                f"{where(target)} is not empty: table {table.name} has rows. Nothing was copied."
            )


def _copy_table(source: Connection, target: Connection, table: Table) -> Sum:
    total, count = 0, 0
    for rows in source.execute(select(table).order_by(*table.primary_key)).mappings().partitions(CHUNK):
        bulk_insert(target, table, [dict(row) for row in rows])
        total += sum(_row_sum(table, row) for row in rows)
        count += len(rows)
    return Sum(count, f"{total % MODULUS:064x}")


def tables_in_use() -> dict[str, Table]:
    """Every table of Serval by name."""
    return {table.name: table for table in metadata.sorted_tables}


def table_sum(connection: Connection, table: Table) -> Sum:
    """Count and checksum of a table."""
    total, count = 0, 0
    for rows in connection.execute(select(table)).mappings().partitions(CHUNK):
        total += sum(_row_sum(table, row) for row in rows)
        count += len(rows)
    return Sum(count, f"{total % MODULUS:064x}")


def _row_sum(table: Table, row: Any) -> int:
    text_of = repr([row[column.name] for column in table.columns])
    return int.from_bytes(hashlib.sha256(text_of.encode()).digest(), "big")


def _copy_counters(source: Connection, target: Connection) -> None:
    """Numbers that were given out are not given out again, even those of rows that are gone."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or column.autoincrement is not True:
            continue
        last = _counter(source, table.name, column.name)
        if last:
            _set_counter(target, table.name, column.name, last)


def _counter(connection: Connection, table: str, column: str) -> int:
    if connection.dialect.name == "sqlite":
        found = connection.execute(
            text("SELECT seq FROM sqlite_sequence WHERE name = :t"), {"t": table}
        ).scalar()
        return int(found or 0)
    name = connection.execute(
        text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": f'"{table}"', "c": column}
    ).scalar_one()
    last, called = connection.execute(text(f"SELECT last_value, is_called FROM {name}")).one()
    return int(last) if called else 0


def _set_counter(connection: Connection, table: str, column: str, last: int) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :t"), {"t": table})
        connection.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:t, :last)"), {"t": table, "last": last}
        )
        return
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence(:t, :c), :last)"),
        {"t": f'"{table}"', "c": column, "last": last},
    )
