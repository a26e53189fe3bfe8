"""Tables as CSV, exactly as xCAT writes and reads them (man pages tabdump(8), tabrestore(8)).

The first line is `#` and the column names. Values stand in double quotes, a quote in a value is doubled, and
a value that is not set is nothing at all between the commas. Values may hold newlines.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, not_, select, true

from core.errors import DefinitionError
from db.bulk import bulk_insert
from db.checks import check_key, check_text, check_value
from db.logs import log_table, records
from db.tables import DOCS, SITE_KEYS, TABLES, key_names

CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|=~|!~|>=|<=|>|<)(.*)", re.DOTALL)
FIELD_LIMIT = 64 * 1024 * 1024


def find_table(name: str) -> Table:
    """The table of that name. Raises DefinitionError when there is none."""
    if name not in TABLES:
        raise DefinitionError(f"No such table: {name}")
    return TABLES[name]


def documentation(name: str | None) -> Iterator[str]:
    """What the columns of a table mean, or without a name what every table is for."""
    if name is None:
        for table, doc in sorted(DOCS.items()):
            yield f"{table}:\t{doc}"
        return
    for column in find_table(name).c:
        yield f"{column.name}:\t{column.doc}"
        if name == "site" and column.name == "key":
            yield from (f"\t{key}:\t{doc}" for key, doc in sorted(SITE_KEYS.items()))


def dump(connection: Connection, name: str, conditions: Iterable[str] = ()) -> Iterator[str]:
    """The header and the rows that meet all conditions, sorted by their keys, disabled ones too.

    Raises DefinitionError for an unknown table, column or condition, before the first line.
    """
    table = find_table(name)
    where = and_(true(), *(_condition(table, text) for text in conditions))
    rows = connection.execute(select(table).where(where)).all()
    keys = [list(table.c.keys()).index(key) for key in key_names(table)]
    rows = sorted(rows, key=lambda row: [row[key] for key in keys])
    return iter([header(table), *(line(row) for row in rows)])


def newest(connection: Connection, name: str, count: int) -> Iterator[str]:
    """The header and the newest records of a log table, oldest first."""
    table = log_table(name)
    rows = records(connection, table)
    return iter([header(table), *(line(list(row.values())) for row in rows[max(len(rows) - count, 0) :])])


def header(table: Table) -> str:
    """The first line of a dump."""
    return "#" + ",".join(table.c.keys())


def line(row: Sequence[Any]) -> str:
    """One row of a dump."""
    return ",".join('"' + str(value).replace('"', '""') + '"' if value else "" for value in row)


def _condition(table: Table, text: str) -> ColumnElement[bool]:
    """`column==value` in SQL; =~ and !~ are LIKE, and an unset value counts as the empty one."""
    form = CONDITION.fullmatch(text)
    if form is None:
        raise DefinitionError(f"{text!r} is no condition: write column==value, or != =~ !~ > >= < <=.")
    name, operator, value = form.groups()
    if name not in table.c:
        raise DefinitionError(f"Table {table.name} has no column '{name}'.")
    check_text(name, value)
    column = func.coalesce(table.c[name], "")
    conditions: dict[str, ColumnElement[bool]] = {
        "==": column == value,
        "!=": column != value,
        "=~": column.like(value),
        "!~": not_(column.like(value)),
        ">": column > value,
        ">=": column >= value,
        "<": column < value,
        "<=": column <= value,
    }
    return conditions[operator]


def restore(connection: Connection, name: str, text: str, append: bool) -> int:
    """Replace a table by the rows of a dump, or with `append` add them, in the caller's transaction.

    With `append` a row whose key exists replaces that row. Columns that the dump does not have stay empty.
    Returns how many rows were read. Raises DefinitionError, naming the row, for a dump that does not fit.
    """
    table = find_table(name)
    rows = parse(table, text)
    if not append:
        connection.execute(delete(table))
    bulk_insert(connection, table, rows, replace_on=key_names(table) if append else ())
    return len(rows)


def parse(table: Table, text: str) -> list[dict[str, str | None]]:
    """The rows of a dump, every column of the table in each."""
    lines = read_csv(table.name, text)
    columns = _header(table, lines[0][1] if lines else [])
    return unique(table, [checked(table, columns, values, number) for number, values in lines[1:]])


def read_csv(name: str, text: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV text with their numbers, without blank ones. Raises DefinitionError."""
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DefinitionError(f"Table {name}, line {reader.line_num}: {error}") from error


def unique(table: Table, rows: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
    """The rows themselves. Raises DefinitionError when two of them have the same key."""
    seen: set[tuple[str | None, ...]] = set()
    for row in rows:
        key = tuple(row[name] for name in key_names(table))
        if key in seen:
            raise DefinitionError(f"Table {table.name}: two rows with the key {','.join(map(str, key))}")
        seen.add(key)
    return rows


def _header(table: Table, first: list[str]) -> list[str]:
    columns = [name.strip() for name in first]
    if not columns or not columns[0].startswith("#"):
        raise DefinitionError(f"The first line must be '#{','.join(table.c.keys())}', as tabdump writes it.")
    columns[0] = columns[0].removeprefix("#").strip()
    unknown = [name for name in columns if name not in table.c]
    if unknown:
        raise DefinitionError(f"Table {table.name} has no column '{unknown[0][:80]}'; nothing is restored.")
    missing = [name for name in key_names(table) if name not in columns]
    if missing or len(set(columns)) < len(columns):
        raise DefinitionError(f"The header must name each column once, and '{key_names(table)[0]}'.")
    return columns


def checked(table: Table, columns: list[str], values: list[str], number: int) -> dict[str, str | None]:
    """The values of one line, every column of the table. Raises DefinitionError, naming the line."""
    if len(values) != len(columns):
        raise DefinitionError(
            f"Table {table.name}, line {number}: {len(values)} values for {len(columns)} columns; "
            "nothing is restored."
        )
    row: dict[str, str | None] = dict.fromkeys(table.c.keys())
    for name, value in zip(columns, values, strict=True):
        check_value(f"{table.name}.{name}, line {number}", value)
        row[name] = value or None
    keys = key_names(table)
    for key in keys:
        check_key(f"{table.name}.{key}, line {number}", row[key] or "")
    if row[keys[0]] is None:
        raise DefinitionError(f"Table {table.name}, line {number}: no {keys[0]}; nothing is restored.")
    for key in keys[1:]:
        row[key] = row[key] or ""
    return row
