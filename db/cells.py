"""Values named by table and column, as chtab, gettab, nodech and their like do (man pages of xCAT).

`node` tables are written for nodes or groups by `upsert`; here are the rows of any table, found by the values
of any of its columns.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, update

from core.errors import DefinitionError
from db.bulk import bulk_update, chunks
from db.checks import check_key, check_values
from db.lookup import enabled, split_list
from db.tables import TABLES, is_of_nodes, key_names
from db.upserts import insert_rows

SHORT_NAMES = {
    "groups": "nodelist.groups",
    "tags": "nodelist.groups",
    "mgt": "nodehm.mgt",
    "switch": "switch.switch",
}
#: chtab's word for no value.
NULL = "NULL"


def full_name(text: str) -> str:
    """A column or criterion with xCAT's short names written out."""
    for short, full in SHORT_NAMES.items():
        if text == short or (text.startswith(short) and text[len(short)] in "=!,^"):
            return full + text[len(short) :]
    return text


def find_column(text: str, of_nodes: bool = False) -> tuple[Table, str]:
    """The table and column that `table.column` names. Raises DefinitionError when they do not exist."""
    name, dot, column = full_name(text).partition(".")
    if name not in TABLES:
        raise DefinitionError(f"Table {name[:80]} does not exist.")
    if not dot or column not in TABLES[name].c:
        raise DefinitionError(f"{text[:80]} is not a valid table.column description.")
    if of_nodes and not is_of_nodes(name):
        raise DefinitionError(f"Table {name} is not about nodes; chtab changes it.")
    return TABLES[name], column


def _where(table: Table, keys: Mapping[str, str]) -> list[ColumnElement[bool]]:
    unknown = [key for key in keys if key not in table.c]
    if unknown:
        raise DefinitionError(f"Unknown key {unknown[0][:80]} to {table.name}.")
    return [func.coalesce(table.c[key], "") == value for key, value in keys.items()]


def find_rows(connection: Connection, table: Table, keys: Mapping[str, str]) -> list[dict[str, str | None]]:
    """The rows with these values, sorted by the table's keys. Raises DefinitionError: no such column."""
    rows = [dict(row) for row in connection.execute(select(table).where(*_where(table, keys))).mappings()]
    return sorted(rows, key=lambda row: [row[key] or "" for key in key_names(table)])


def set_row(
    connection: Connection,
    table: Table,
    keys: Mapping[str, str],
    values: Mapping[str, str],
    added: Mapping[str, str],
) -> None:
    """Give the rows that have the values `keys` other values, or make one; `added` are items for lists."""
    check_values({**keys, **values, **added})
    for column in key_names(table):
        for given in (keys, values, added):
            check_key(f"{table.name}.{column}", given.get(column, ""))
    rows = find_rows(connection, table, keys)
    stored = {column: None if value in ("", NULL) else value for column, value in values.items()}
    for column in key_names(table):
        if column in stored:
            stored[column] = stored[column] or ""
    for column, items in added.items():
        there = split_list(rows[0][column]) if rows else []
        stored[column] = ",".join(dict.fromkeys([*there, *split_list(items)])) or None
    if rows:
        connection.execute(update(table).where(*_where(table, keys)).values(stored))
        return
    first = key_names(table)[0]
    if not (keys.get(first) or stored.get(first)):
        raise DefinitionError(f"No row of {table.name} has {_said(keys)}, and a new one needs {first}.")
    blank = {column.name: "" if column.primary_key else None for column in table.c}
    insert_rows(connection, table, [{**blank, **keys, **stored}])


def _said(keys: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in keys.items())


def delete_row(connection: Connection, table: Table, keys: Mapping[str, str]) -> None:
    """Delete the rows that have these values."""
    connection.execute(delete(table).where(*_where(table, keys)))


def clear_cells(
    connection: Connection, table: Table, columns: Collection[str], owners: Collection[str]
) -> None:
    """Take own values away from nodes, so that those of their groups show through."""
    plain = [column for column in columns if not table.c[column].primary_key]
    blank = [None] * len(plain)
    if plain:
        bulk_update(connection, table, key_names(table)[:1], plain, ([owner, *blank] for owner in owners))


def tables_with(connection: Connection, owners: Collection[str]) -> list[str]:
    """The tables of nodes that have a row for any of these names."""
    found = []
    for name in sorted(TABLES):
        if is_of_nodes(name):
            key = TABLES[name].c[key_names(TABLES[name])[0]]
            for part in chunks([owner] for owner in owners):
                listed = [owner for (owner,) in part]
                statement = select(key).where(key.in_(listed), enabled(TABLES[name])).limit(1)
                if connection.execute(statement).first() is not None:
                    found.append(name)
                    break
    return found
