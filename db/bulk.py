"""Many rows in one statement, on both databases.

psycopg2's executemany costs 0.2 ms a row, so PostgreSQL gets its rows as one array a column (`unnest`), and
SQLite as one JSON document (`json_each`) for updates and by executemany, which is fast there, for inserts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    update,
)
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.selectable import FromClause

#: Rows a statement: a longer one would hold SQLite's write lock for too long.
CHUNK = 5_000


def chunks(rows: Iterable[Sequence[Any]], size: int = CHUNK) -> Iterator[list[Sequence[Any]]]:
    """The rows in lists of at most `size`, in order."""
    source = iter(rows)
    while part := list(islice(source, size)):
        yield part


def among(connection: Connection, of: Column[str], names: Iterable[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these names, however many: an IN of one parameter."""
    if connection.dialect.name == "postgresql":
        return of == func.any(_array(of, names))
    each = func.json_each(literal(json.dumps(list(names)))).table_valued("value", name="each")
    return of.in_(select(each.c.value))


def bulk_update(
    connection: Connection,
    table: Table,
    key_columns: Sequence[str],
    set_columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    extra_where: ColumnElement[bool] | None = None,
    returning: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> list[Row[Any]]:
    """Set `set_columns` of the rows found by `key_columns`, where `extra_where` holds too.

    `more` is set in all of them: column → expression.

    `rows` hold the keys, then the new values, in the order named; text, numbers, booleans and None only.
    Returns the `returning` columns of the rows that were really changed, in no order.
    """
    names = [*key_columns, *set_columns]
    changed: list[Row[Any]] = []
    for part in chunks(rows):
        given = _given(connection, [table.c[name] for name in names], part)
        statement = (
            update(table)
            .values({name: given.c[f"new_{name}"] for name in set_columns} | dict(more or {}))
            .where(*(table.c[name] == given.c[f"new_{name}"] for name in key_columns))
        )
        if extra_where is not None:
            # `IS TRUE` keeps indexes on its columns out of the plan: PostgreSQL's statistics of a column such
            # as `state` are of a quiet moment, and a plan built on them compares every row with every other.
            statement = statement.where(extra_where.is_(True))
        if returning:
            result = connection.execute(statement.returning(*(table.c[name] for name in returning)))
            changed.extend(result.all())
        else:
            connection.execute(statement)
    return changed


def bulk_insert(
    connection: Connection,
    table: Table,
    rows: Iterable[Mapping[str, Any]],
    replace_on: Sequence[str] = (),
    shared: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Insert rows that all have the same columns as the first, and those `shared` with the same value.

    With `replace_on` (a unique key) a row that exists gets the given values; its other columns stay.
    """
    listed = list(rows)
    if not listed:
        return
    names = list(listed[0])
    statement = _insert(connection, table, [*names, *shared], replace_on)
    if connection.dialect.name == "sqlite":
        connection.execute(statement, [{**row, **shared} for row in listed])
        return
    columns = [table.c[name] for name in names]
    constants = [literal(value, table.c[name].type) for name, value in shared.items()]
    for part in chunks([*map(row.__getitem__, names)] for row in listed):
        given = _given(connection, columns, part)
        connection.execute(statement.from_select([*names, *shared], select(given, *constants)))


def _insert(connection: Connection, table: Table, names: Sequence[str], replace_on: Sequence[str]) -> Any:
    if not replace_on:
        return plain_insert(table)
    insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = insert(table)
    values = {name: statement.excluded[name] for name in names if name not in replace_on}
    if not values:
        return statement.on_conflict_do_nothing(index_elements=list(replace_on))
    return statement.on_conflict_do_update(index_elements=list(replace_on), set_=values)


def _given(connection: Connection, columns: Sequence[Column[Any]], rows: list[Sequence[Any]]) -> FromClause:
    """The rows as something to select from, with a column `new_NAME` for each of `columns`."""
    if connection.dialect.name == "postgresql":
        return _unnest(columns, rows)
    return _json(connection, columns, rows)


def _unnest(columns: Sequence[Column[Any]], rows: list[Sequence[Any]]) -> FromClause:
    arrays = [_array(old, values) for old, values in zip(columns, zip(*rows, strict=True), strict=True)]
    names = [column(f"new_{old.name}", old.type) for old in columns]
    return func.unnest(*arrays).table_valued(*names, name="given").render_derived()


def _array(of: Column[Any], values: Iterable[Any]) -> ColumnElement[Any]:
    return cast(bindparam(None, list(values), type_=ARRAY(of.type)), ARRAY(of.type))


def _json(connection: Connection, columns: Sequence[Column[Any]], rows: list[Sequence[Any]]) -> FromClause:
    processors = [
        old.type.dialect_impl(connection.dialect).bind_processor(connection.dialect) for old in columns
    ]
    if any(processors):
        rows = [[_bound(value, to) for value, to in zip(row, processors, strict=True)] for row in rows]
    document = json.dumps([list(row) for row in rows])
    each = func.json_each(literal(document)).table_valued("value", name="each")
    fields = [
        func.json_extract(each.c.value, f"$[{place}]", type_=old.type).label(f"new_{old.name}")
        for place, old in enumerate(columns)
    ]
    # The limit keeps SQLite from merging this into the update, where it would be read once for every row.
    return select(*fields).limit(-1).cte("given")


def _bound(value: Any, processor: Any) -> Any:
    return processor(value) if processor else value
