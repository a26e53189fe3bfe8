"""dumpxCATdb and restorexCATdb: all tables as files of tabdump (man pages dumpxCATdb(1), restorexCATdb(1)).

The files hold passwords: they are made for their owner alone.
"""

import argparse
from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from core.errors import RequestError
from db.attributes import LOGS
from db.engine import Connection, one_writer, reading, writing
from db.lookup import site_values, split_list
from db.schema import open_database
from db.tabio import dump, restore
from db.tables import TABLES
from drivers.files import PRIVATE, make_folder, write_whole


@command
def dumpxCATdb(argv: list[str], ctx: Context) -> int:  # noqa: N802  xCAT's name
    """Write every table into a file of a folder."""
    options = _parser(ctx, "dumpxCATdb", "Write every table as TABLE.csv into a folder.").parse_args(argv)
    folder = ctx.cwd / options.path
    with reading(open_database(ctx.env)) as connection:
        left_out = _left_out(options, connection, ctx)
        texts = {name: "\n".join(dump(connection, name)) + "\n" for name in TABLES if name not in left_out}
    make_folder(folder)
    for name, text in sorted(texts.items()):
        if options.verbose:
            ctx.say(f"Dumping table {name}")
        write_whole(folder / f"{name}.csv", text, PRIVATE)
    ctx.say("Backup Complete.")
    return 0


@command
def restorexCATdb(argv: list[str], ctx: Context) -> int:  # noqa: N802  xCAT's name
    """Replace tables by the files of a folder, all of them or none."""
    parser = _parser(
        ctx, "restorexCATdb", "Replace the tables that a folder has a TABLE.csv for, all or none."
    )
    options = parser.parse_args(argv)
    folder = ctx.cwd / options.path
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        left_out = _left_out(options, connection, ctx)
        texts = {name: text for name, text in read_folder(folder).items() if name not in left_out}
        unknown = sorted(set(texts) - set(TABLES))
        if unknown:
            raise RequestError(
                f"There is no table '{unknown[0][:80]}'; nothing is restored. 'serval import-xcat' takes "
                "over the dump of an xCAT site; XCAT_SKIPTABLES leaves tables out."
            )
        for name, text in sorted(texts.items()):
            if options.verbose:
                ctx.say(f"Restoring table {name}")
            restore(connection, name, text, append=False)
    ctx.say("Restore of Database Complete.")
    return 0


def read_folder(folder: Path) -> dict[str, str]:
    """The texts of all TABLE.csv in a folder, by table. Raises RequestError when there are none."""
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".csv")
        texts = {file.stem: file.read_bytes().decode() for file in files}
    except OSError as error:
        raise RequestError(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"A file in {folder} is not UTF-8 text: {error.reason}.") from error
    if not texts:
        raise RequestError(f"There is no TABLE.csv in {folder}.")
    return texts


def _left_out(options: argparse.Namespace, connection: Connection, ctx: Context) -> set[str]:
    skipped = site_values(connection).get("skiptables", "") + "," + ctx.env.get("XCAT_SKIPTABLES", "")
    return {*split_list(skipped.replace(" ", ",")), *(() if options.all else LOGS)}


def _parser(ctx: Context, prog: str, description: str) -> Parser:
    parser = Parser(ctx, prog, description=description)
    parser.add_version()
    parser.add_argument("-a", dest="all", action="store_true", help="auditlog and eventlog too")
    parser.add_argument("-V", dest="verbose", action="store_true", help="name each table")
    parser.add_argument("-p", "--path", required=True, metavar="FOLDER", help="where the files are")
    return parser
