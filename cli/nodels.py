"""nodels: node names, and values of tables for them (man page nodels(1))."""

import argparse
from collections.abc import Sequence

from cli.arguments import Parser, command
from cli.context import Context
from cli.objects import criterion, printable, reader
from core import selection
from core.errors import DefinitionError, RequestError
from core.noderange import expand, missed_message
from db.attributes import HIDDEN_VALUE, SECRET_COLUMNS
from db.cells import full_name
from db.engine import reading
from db.lookup import Unreadable, Values, effective, own_rows
from db.nodes import DatabaseNodes
from db.schema import open_database
from db.tables import TABLES, is_of_nodes, key_names


@command
def nodels(argv: list[str], ctx: Context) -> int:
    """List nodes, with the values of columns for each."""
    options = _parser(ctx).parse_intermixed_args(argv)
    criteria = [selection.parse(full_name(text)) for text in options.columns if criterion(text)]
    columns = [one for text in options.columns if not criterion(text) for one in _columns(text)]
    unreadable: Unreadable = {}
    with reading(open_database(ctx.env)) as connection:
        source = DatabaseNodes(connection)
        nodes = _nodes(options, source, ctx)
        if criteria:
            chosen = set(source.select(criteria))
            nodes = [node for node in nodes if node in chosen]
        wanted = _by_table(columns)
        values = effective(connection, {"nodelist": (), **wanted}, nodes, unreadable) if columns else {}
        blame = _Blame(source, wanted) if options.blame and columns else None
    lines: list[str] = []
    for node in nodes:
        lines += _lines(node, columns, values.get(node, {}), options, blame) if columns else [printable(node)]
    if lines:
        ctx.say("\n".join(lines))
    for (node, _), sentence in unreadable.items():
        ctx.complain(f"Warning: {printable(f'{node}: {sentence}')}")
    return 0


def _nodes(options: argparse.Namespace, source: DatabaseNodes, ctx: Context) -> list[str]:
    if options.noderange is not None:
        found = expand(options.noderange, source, reader(ctx))
        if found.missed:
            raise RequestError(missed_message(found.missed))
        return found.nodes
    hidden = {} if options.hidden else source.values("nodelist", "hidden") or {}
    return sorted(node for node in source.nodes() if hidden.get(node) != "1")


def _columns(text: str) -> list[str]:
    """The columns that `table`, `table.column` or a short name asks for."""
    table, _, column = full_name(text).partition(".")
    if not is_of_nodes(table):
        raise DefinitionError(f"There is no table '{printable(table)}' of nodes.")
    if column and column not in TABLES[table].c:
        raise DefinitionError(f"Table {table} has no column '{printable(column)}'.")
    if column:
        return [f"{table}.{column}"]
    left_out = (key_names(TABLES[table])[0], "disable")
    return [f"{table}.{one.name}" for one in TABLES[table].c if one.name not in left_out]


def _by_table(columns: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for one in columns:
        table, _, column = one.partition(".")
        wanted.setdefault(table, []).append(column)
    return wanted


class _Blame:
    """Which group a value comes from."""

    def __init__(self, source: DatabaseNodes, wanted: dict[str, list[str]]) -> None:
        self._groups = source.nodes()
        self._rows = own_rows(source.connection, wanted)

    def suffix(self, node: str, column: str) -> str:
        """` (inherited from group X)`, or nothing for the node's own value and for none."""
        for owner in (node, *self._groups.get(node, ())):
            if column in self._rows.get(owner, {}):
                return "" if owner == node else f" (inherited from group {owner})"
        return ""


def _lines(
    node: str, columns: Sequence[str], values: Values, options: argparse.Namespace, blame: _Blame | None
) -> list[str]:
    lines = []
    for column in columns:
        value = values.get(column, "")
        if value and column in SECRET_COLUMNS and not options.secrets:
            value = HIDDEN_VALUE
        name = f" {column}:" if len(columns) > 1 or options.headed else ""
        lines.append(
            f"{printable(node)}:{name} {printable(value)}" + (blame.suffix(node, column) if blame else "")
        )
    return lines


def _parser(ctx: Context) -> Parser:
    parser = Parser(ctx, "nodels", description="List nodes, and values of tables for them.")
    parser.add_argument("-b", "--blame", action="store_true", help="say which group a value comes from")
    parser.add_argument(
        "-H", "--with-fieldname", dest="headed", action="store_true", help="always name the column"
    )
    parser.add_argument("-S", dest="hidden", action="store_true", help="hidden nodes too")
    parser.add_argument("--show-secrets", dest="secrets", action="store_true", help="passwords in clear")
    parser.add_version()
    parser.add_argument("noderange", nargs="?", metavar="NODERANGE")
    parser.add_argument(
        "columns", nargs="*", metavar="TABLE | TABLE.COLUMN | groups | mgt | CRITERION",
        help="what to print; a criterion (nodehm.mgt==ipmi) chooses among the nodes",
    )  # fmt: skip
    return parser
