"""One cell of any of xCAT's tables, as templates ask for it: of a node, or of the row with these keys."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from core.errors import DefinitionError
from db.attributes import SECRET_COLUMNS
from db.lookup import effective, enabled
from db.tables import TABLES, is_of_nodes


def check(table: str, column: str, *, secret: bool = False) -> None:
    """Raises DefinitionError when there is no such column, or when it is a secret and none is meant."""
    if table not in TABLES or column not in TABLES[table].c:
        raise DefinitionError(f"there is no column {table}.{column}")
    if f"{table}.{column}" in SECRET_COLUMNS and not secret:
        raise DefinitionError(f"{table}.{column} is secret; of passwd there is a hash, by crypt")


def of_nodes(
    connection: Connection, table: str, column: str, nodes: Collection[str]
) -> dict[str, str] | None:
    """What holds for each of the nodes, those with a value only; None: it is no table of nodes."""
    if table != "nodelist" and not is_of_nodes(table):
        return None
    key = f"{table}.{column}"
    found = effective(connection, {table: [column]}, nodes)
    return {node: values[key] for node, values in found.items() if key in values}


def of_row(connection: Connection, table: str, column: str, where: Mapping[str, str]) -> str:
    """A cell of the first row with these values; empty when there is none. Raises DefinitionError."""
    of = TABLES[table]
    if unknown := sorted(where.keys() - of.c.keys()):
        raise DefinitionError(f"table {table} has no column {', '.join(unknown)}")
    query = select(of.c[column]).where(enabled(of), *(of.c[name] == value for name, value in where.items()))
    return connection.scalars(query.limit(1)).first() or ""
