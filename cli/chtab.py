"""chtab, gettab and tabgrep: single values of any table (man pages chtab(8), gettab(1), tabgrep(1))."""

from cli.arguments import Parser, command
from cli.context import Context
from cli.objects import printable
from core.errors import RequestError
from db.cells import delete_row, find_column, find_rows, set_row, tables_with
from db.engine import one_writer, reading, writing
from db.nodes import DatabaseNodes
from db.schema import open_database
from db.tabio import find_table


@command
def chtab(argv: list[str], ctx: Context) -> int:
    """Change, make or delete rows of tables; prints nothing."""
    parser = Parser(
        ctx, "chtab", description="Change the rows of tables that have these values, or make one."
    )
    parser.add_argument(
        "-d", "--delete", action="store_true", help="delete the rows; tables instead of values"
    )
    parser.add_version()
    parser.add_argument("keys", metavar="COLUMN=VALUE[,COLUMN=VALUE]", help="which rows")
    parser.add_argument(
        "words", nargs="+", metavar="TABLE.COLUMN=VALUE | TABLE.COLUMN+=VALUE | TABLE",
        help="+= adds to a comma separated list; the value NULL, or none, empties the cell",
    )  # fmt: skip
    options = parser.parse_intermixed_args(argv)
    keys = _keys(options.keys)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        if options.delete:
            for name in options.words:
                delete_row(connection, find_table(name), keys)
            return 0
        for table, (values, added) in _assignments(options.words).items():
            set_row(connection, find_table(table), keys, values, added)
    return 0


def _keys(text: str) -> dict[str, str]:
    """`column=value,column=value`; a comma in a value is written by leaving the column out: a=1,2,b=3."""
    found: dict[str, str] = {}
    last = ""
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and "." not in name:
            found[name], last = value, name
        elif last:
            found[last] += "," + part
        else:
            raise RequestError(
                f"'{part[:80]}' names no row: the first word is COLUMN=VALUE, such as key=domain."
            )
    return found


def _assignments(words: list[str]) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """What is to be set, and what is to be added to lists, by table."""
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise RequestError(f"'{word[:80]}' is not of the form table.column=value.")
        table, column = find_column(name.removesuffix("+"))
        values, added = found.setdefault(table.name, ({}, {}))
        (added if name.endswith("+") else values)[column] = value
    return found


@command
def gettab(argv: list[str], ctx: Context) -> int:
    """Print values of the first row that has the values of the keys; nothing when there is none."""
    parser = Parser(ctx, "gettab", description="Print values of the row that has these values.")
    parser.add_argument(
        "-H", "--with-fieldname", dest="headed", action="store_true", help="always name the column"
    )
    parser.add_version()
    parser.add_argument("keys", metavar="COLUMN=VALUE[,COLUMN=VALUE]", help="which row")
    parser.add_argument("columns", nargs="+", metavar="TABLE.COLUMN")
    options = parser.parse_intermixed_args(argv)
    keys = _keys(options.keys)
    with reading(open_database(ctx.env)) as connection:
        for table, column in [find_column(text) for text in options.columns]:
            rows = find_rows(connection, table, keys)
            if rows:
                name = f"{table.name}.{column}: " if options.headed or len(options.columns) > 1 else ""
                ctx.say(name + printable(rows[0][column] or ""))
    return 0


@command
def tabgrep(argv: list[str], ctx: Context) -> int:
    """Print the tables that say something about a node, by itself or by its groups."""
    parser = Parser(ctx, "tabgrep", description="List the tables with a row for a node or one of its groups.")
    parser.add_version()
    parser.add_argument("node", metavar="NODE")
    options = parser.parse_args(argv)
    with reading(open_database(ctx.env)) as connection:
        nodes = DatabaseNodes(connection).nodes()
        if options.node not in nodes:
            raise RequestError(f"Invalid nodes and/or groups in noderange: {options.node[:80]}")
        for name in tables_with(connection, [options.node, *nodes[options.node]]):
            ctx.say(name)
    return 0
