"""From attributes of objects to rows of tables: one statement a table and set of columns."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from db.attributes import Attributes, Place
from db.bulk import bulk_insert, bulk_update
from db.definitions import Definitions
from db.tables import TABLES, key_names

#: table → owner of the row → column → value.
Rows = dict[str, dict[str, dict[str, str]]]


def rows_of(asked: Definitions, known: Attributes, mgt: Mapping[str, str | None] | None = None) -> Rows:
    """The rows behind attributes: without `mgt` those that count under any mgt, with it the other ones."""
    rows: Rows = {}
    for name, given in asked.items():
        for attribute, value in given.items():
            place = _place(known[attribute], None if mgt is None else mgt.get(name), mgt is not None)
            if place is not None:
                rows.setdefault(place.table, {}).setdefault(name, {})[place.column] = value
    return rows


def _place(places: tuple[Place, ...], mgt: str | None, by_mgt: bool) -> Place | None:
    for place in places:
        if (place.mgt is not None) == by_mgt and place.mgt == mgt:
            return place
    return None


def upsert(connection: Connection, rows: Rows) -> set[str]:
    """Write the given columns and leave the others; the owners of the rows.

    An empty value is stored as NULL; a row that would hold nothing else is not made for it.
    """
    owners: set[str] = set()
    for table, by_owner in rows.items():
        owners.update(by_owner)
        by_columns: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for owner, values in by_owner.items():
            by_columns.setdefault(tuple(values), []).append((owner, *values.values()))
        for columns, listed in by_columns.items():
            _upsert_table(connection, table, columns, listed)
    return owners


def _upsert_table(
    connection: Connection, name: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> None:
    table = TABLES[name]
    key = key_names(table)[0]
    stored = [tuple(value or None for value in row) for row in rows]
    empty = [row for row in stored if not any(row[1:])]
    bulk_update(connection, table, [key], columns, empty)
    full = [dict(zip((key, *columns), row, strict=True)) for row in stored if any(row[1:])]
    bulk_insert(connection, table, full, replace_on=[key])
