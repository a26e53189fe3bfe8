"""From attributes of objects to rows of tables: one statement a table and set of columns."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, Table, delete, select

from db.attributes import Attributes, Place
from db.bulk import bulk_insert, bulk_update, chunks
from db.definitions import Definitions
from db.lookup import Values
from db.tables import TABLES, key_names

#: table → owner of the row → column → value.
Rows = dict[str, dict[str, dict[str, str]]]


def rows_of(asked: Definitions, known: Attributes, deciding: Mapping[str, Values] | None = None) -> Rows:
    """The rows behind attributes: without `deciding` those that always count, with it the other ones.

    `deciding` are the values of each object that decide which of the other ones count.
    """
    rows: Rows = {}
    for name, given in asked.items():
        for attribute, value in given.items():
            place = _place(known[attribute], None if deciding is None else deciding.get(name, {}))
            if place is not None:
                rows.setdefault(place.table, {}).setdefault(name, {})[place.column] = value
    return rows


def _place(places: tuple[Place, ...], values: Values | None) -> Place | None:
    if values is None:
        return next((place for place in places if place.only is None), None)
    return next((place for place in places if place.only and place.counts(values)), None)


def upsert(connection: Connection, rows: Rows) -> set[str]:
    """Write the given columns and leave the others; the owners of the rows.

    An empty value is stored as NULL; a row that would hold nothing else is not made for it.
    """
    owners: set[str] = set()
    for table, by_owner in rows.items():
        owners.update(by_owner)
        if len(key_names(TABLES[table])) > 1:
            _upsert_several(connection, table, by_owner)
            continue
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


def _upsert_several(connection: Connection, name: str, by_owner: Mapping[str, Mapping[str, str]]) -> None:
    """The same in a table where an owner may have several rows, told apart by more keys.

    An owner's only row takes the given values, keys too; of several rows those that have the given keys do,
    and where none has them there is a new one.
    """
    table = TABLES[name]
    there = rows_by_owner(connection, table, by_owner)
    made = []
    for owner, given in by_owner.items():
        rows = there.get(owner, [])
        keys = [key for key in key_names(table)[1:] if key in given]
        if len(rows) > 1:
            meant = [row for row in rows if all(row[key] == given[key] for key in keys)]
        else:
            meant = rows
        kept = [row for row in rows if row not in meant]
        blank = {column.name: "" if column.primary_key else None for column in table.c}
        blank[key_names(table)[0]] = owner
        values = {column: value if column in keys else value or None for column, value in given.items()}
        made += [*kept, *({**row, **values} for row in meant or [blank])]
    delete_rows(connection, table, key_names(table)[0], by_owner)
    insert_rows(connection, table, made)


def rows_by_owner(
    connection: Connection, table: Table, owners: Collection[str]
) -> dict[str, list[dict[str, str | None]]]:
    """The rows of these owners, sorted by their keys."""
    keys = key_names(table)
    found: dict[str, list[dict[str, str | None]]] = {}
    for part in chunks([owner] for owner in owners):
        names = [owner for (owner,) in part]
        for row in connection.execute(select(table).where(table.c[keys[0]].in_(names))).mappings():
            found.setdefault(row[keys[0]], []).append(dict(row))
    for rows in found.values():
        rows.sort(key=lambda row: [row[key] or "" for key in keys])
    return found


def delete_rows(connection: Connection, table: Table, column: str, names: Iterable[str]) -> None:
    """Delete the rows that have one of these names in a column."""
    for part in chunks([name] for name in names):
        connection.execute(delete(table).where(table.c[column].in_([name for (name,) in part])))


def insert_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, str | None]]) -> None:
    """Insert whole rows; of two with the same keys the last one counts, and rows without a value do not."""
    keys = key_names(table)
    whole = {tuple(row[key] for key in keys): row for row in rows if _says_something(row, keys)}
    bulk_insert(connection, table, whole.values())


def _says_something(row: Mapping[str, str | None], keys: list[str]) -> bool:
    return any(value for column, value in row.items() if column != keys[0])
