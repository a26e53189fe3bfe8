"""nodech, nodegrpch, nodeadd and noderm: values of tables for nodes (man pages of the same names).

They print nothing when all is well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cli.arguments import Parser, command
from cli.context import Context
from cli.objects import criterion, reader
from core import selection
from core.errors import DefinitionError, RequestError
from core.noderange import expand, missed_message, names
from db.cells import clear_cells, find_column, full_name
from db.changes import CAPITALS, Mode, Writer, merge
from db.checks import check_name, check_values
from db.engine import Connection, one_writer, writing
from db.lookup import effective, split_list
from db.nodes import DatabaseNodes
from db.schema import open_database
from db.tables import TABLES, is_of_nodes, key_names
from db.upserts import Rows, delete_rows, upsert

#: A value that hides the one of a group: a rule that yields nothing.
MASK = "|^.*$||"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One word of a command line; `operator` is `=`, `,=` (prepend to the list) or `^=` (remove from it)."""

    table: str
    column: str
    operator: str
    value: str

    def applied(self, current: str | None) -> str:
        """The value to store where `current` is in force."""
        if self.operator == "=":
            return self.value or MASK
        if self.operator == "^=":
            return merge(current, self.value, Mode.REMOVE)
        there = split_list(current)
        new = [item for item in dict.fromkeys(split_list(self.value)) if item not in there]
        return ",".join([*reversed(new), *there])


def assignment(word: str) -> Assignment:
    """What `table.column=value` asks for. Raises DefinitionError for a column that nodes do not have."""
    name, equals, value = word.partition("=")
    if not equals:
        raise RequestError(f"'{word[:80]}' is not of the form table.column=value.")
    operator = f"{name[-1:]}=" if name[-1:] in (",", "^") else "="
    table, column = find_column(name.rstrip(",^"), of_nodes=True)
    if column == key_names(table)[0]:
        raise DefinitionError(f"{table.name}.{column} is the node itself; chdef -n gives it another name.")
    value = value.removeprefix("@")
    check_values({f"{table.name}.{column}": value})
    return Assignment(table.name, column, operator, value)


@command
def nodech(argv: list[str], ctx: Context) -> int:
    """Change values for the nodes of a noderange that meet the criteria, or delete their rows."""
    parser = Parser(ctx, "nodech", description="Change values of tables for nodes.")
    parser.add_argument("-d", "--delete", action="store_true", help="delete the nodes' rows of these tables")
    parser.add_version()
    parser.add_argument("noderange", metavar="NODERANGE")
    parser.add_argument(
        "words", nargs="+", metavar="TABLE.COLUMN=VALUE | CRITERION | TABLE",
        help=",= puts items before a list, ^= removes them, =@ sets all the rest; criteria choose nodes",
    )  # fmt: skip
    options = parser.parse_intermixed_args(argv)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        source = DatabaseNodes(connection)
        nodes = existing(options.noderange, source, ctx)
        if options.delete:
            delete(connection, options.words, nodes)
            return 0
        chosen = [selection.parse(full_name(word)) for word in options.words if criterion(word)]
        if chosen:
            selected = set(source.select(chosen))
            nodes = [node for node in nodes if node in selected]
        change(connection, [assignment(word) for word in options.words if not criterion(word)], nodes)
    return 0


def existing(text: str, source: DatabaseNodes, ctx: Context) -> list[str]:
    """The nodes of a noderange. Raises RequestError when it names what does not exist."""
    found = expand(text, source, reader(ctx))
    if found.missed:
        raise RequestError(missed_message(found.missed))
    return found.nodes


def delete(connection: Connection, tables: Sequence[str], nodes: Sequence[str]) -> None:
    """Delete the rows of nodes in some tables."""
    for name in tables:
        if not is_of_nodes(name):
            raise DefinitionError(
                f"{name[:80]!r} is no table of nodes: -d takes table names, without . and =."
            )
        delete_rows(connection, TABLES[name], key_names(TABLES[name])[0], nodes)


def change(connection: Connection, asked: Sequence[Assignment], nodes: Sequence[str]) -> None:
    """Write the rows of nodes; lists that are changed begin with what is in force, inherited or not."""
    columns: dict[str, list[str]] = {}
    for one in asked:
        columns.setdefault(one.table, []).append(one.column)
    lists = any(one.operator != "=" for one in asked)
    current = effective(connection, {"nodelist": [], **columns}, nodes, {}) if lists else {}
    rows: Rows = {}
    for node in nodes:
        values = current.get(node, {})
        for one in asked:
            row = rows.setdefault(one.table, {}).setdefault(node, {})
            there = row.get(one.column, values.get(f"{one.table}.{one.column}"))
            row[one.column] = one.applied(there)
    upsert(connection, rows)


@command
def nodegrpch(argv: list[str], ctx: Context) -> int:
    """Change values for groups, and take what hides them away from their nodes."""
    parser = Parser(ctx, "nodegrpch", description="Change values of tables for groups and all their nodes.")
    parser.add_version()
    parser.add_argument("groups", metavar="GROUP[,GROUP]")
    parser.add_argument("words", nargs="+", metavar="TABLE.COLUMN=VALUE")
    options = parser.parse_args(argv)
    asked = [assignment(word) for word in options.words]
    if any(one.operator != "=" for one in asked):
        raise RequestError(",= and ^= are not supported by nodegrpch.")
    if any(one.table == "nodelist" for one in asked):
        raise RequestError("nodelist is about nodes alone; group membership is not changeable via nodegrpch.")
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        source = DatabaseNodes(connection)
        groups = split_list(options.groups)
        unknown = [name for name in groups if name not in source.group_names()]
        if unknown:
            raise RequestError(f"Could not find an object named '{unknown[0][:80]}' of type 'group'.")
        members = {node for group in groups for node in source.group(group) or ()}
        for one in asked:
            clear_cells(connection, TABLES[one.table], [one.column], members)
        rows: Rows = {}
        for group in groups:
            for one in asked:
                rows.setdefault(one.table, {}).setdefault(group, {})[one.column] = one.applied(None)
        upsert(connection, rows)
    return 0


@command
def nodeadd(argv: list[str], ctx: Context) -> int:
    """Make nodes, in the groups given; one that exists is changed."""
    parser = Parser(ctx, "nodeadd", description="Make nodes.")
    parser.add_version()
    parser.add_argument("noderange", metavar="NODERANGE", help="names of nodes, counted up: n[001-100]")
    parser.add_argument("words", nargs="+", metavar="groups=GROUP[,GROUP] | TABLE.COLUMN=VALUE")
    options = parser.parse_args(argv)
    asked = [assignment(word) for word in options.words]
    if not any(one.table == "nodelist" and one.column == "groups" and one.value for one in asked):
        raise RequestError("No groups are given: 'groups=all' puts the nodes into the group all.")
    listed = names(options.noderange)
    for name in listed:
        check_name("node", name)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        change(connection, asked, listed)
    for name in listed:
        if name != name.lower():
            ctx.complain(CAPITALS.format(name))
    return 0


@command
def noderm(argv: list[str], ctx: Context) -> int:
    """Remove nodes from all tables."""
    parser = Parser(ctx, "noderm", description="Remove nodes from all tables.")
    parser.add_version()
    parser.add_argument("noderange", metavar="NODERANGE")
    options = parser.parse_args(argv)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        remove(options.noderange, DatabaseNodes(connection), ctx)
    return 0


def remove(noderange: str, source: DatabaseNodes, ctx: Context) -> list[str]:
    """Remove the nodes of a noderange from all tables; their names."""
    nodes = existing(noderange, source, ctx)
    Writer(source, "node").remove(nodes)
    return nodes
