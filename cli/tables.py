"""tabdump and tabrestore: whole tables as CSV (man pages tabdump(8), tabrestore(8)).

tabdump is the backup: unlike lsdef it prints passwords. Nothing but the caller's own rights guards it.
"""

from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from core.errors import RequestError
from db.engine import one_writer, reading, writing
from db.schema import open_database
from db.tabio import documentation, dump, find_table, newest, restore
from db.tables import TABLES
from drivers.files import PRIVATE, write_whole


@command
def tabdump(argv: list[str], ctx: Context) -> int:
    """Print a table, its documentation, or the names of all tables."""
    parser = Parser(ctx, "tabdump", description="Print a table as CSV; without a table the names of all.")
    parser.add_argument(
        "-d", dest="describe", action="store_true", help="what the columns, or tables, are for"
    )
    parser.add_argument("-f", dest="file", metavar="FILE", help="write it to a file, mode 0600")
    parser.add_argument(
        "-n",
        dest="newest",
        type=int,
        metavar="NUMBER",
        help="only so many, the newest, of auditlog or eventlog",
    )
    parser.add_argument(
        "-w", dest="where", action="append", default=[], metavar="COLUMN==VALUE",
        help="only rows that match (== != =~ !~ > >= < <=; =~ is SQL's LIKE); several must all hold",
    )  # fmt: skip
    parser.add_version()
    parser.add_argument("table", nargs="?", metavar="TABLE")
    options = parser.parse_args(argv)
    if options.describe:
        ctx.say("\n".join(documentation(options.table)))
        return 0
    if options.table is None:
        if options.where or options.file or options.newest is not None:
            raise RequestError("-w, -f and -n need a table.")
        ctx.say("\n".join(sorted(TABLES)))
        return 0
    find_table(options.table)
    with reading(open_database(ctx.env)) as connection:
        if options.newest is not None:
            lines = newest(connection, options.table, options.newest)
        else:
            lines = dump(connection, options.table, options.where)
        text = "\n".join(lines)
    if options.file is None:
        ctx.say(text)
    else:
        write_whole(ctx.cwd / options.file, text + "\n", PRIVATE)
    return 0


@command
def tabrestore(argv: list[str], ctx: Context) -> int:
    """Replace or extend a table by a file of `tabdump`; all of it or nothing."""
    parser = Parser(
        ctx,
        "tabrestore",
        description="Replace a table by a file of tabdump, which is named after the table: noderes.csv.",
    )
    parser.add_argument("-a", dest="append", action="store_true", help="keep the rows that are there")
    parser.add_version()
    parser.add_argument("file", metavar="FILE")
    options = parser.parse_args(argv)
    file = ctx.cwd / Path(options.file)
    table = file.name.partition(".")[0]
    find_table(table)
    try:
        text = ctx.read_file(file).decode()
    except OSError as error:
        raise RequestError(f"{options.file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{options.file} is not UTF-8 text; nothing is restored.") from error
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        restore(connection, table, text, options.append)
    return 0
