"""tabprune: getting rid of old records of the logs, or of all rows of a table (man page tabprune(8))."""

import argparse
import time

from cli.arguments import Parser, command
from cli.context import Context
from core.errors import RequestError
from db import logs
from db.engine import Connection, one_writer, writing
from db.schema import open_database
from db.tabio import find_table, header, line

DAY = 86_400


@command
def tabprune(argv: list[str], ctx: Context) -> int:
    """Delete records."""
    options = _parser(ctx).parse_intermixed_args(argv)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        gone = _prune(options, connection)
    if options.show:
        table = find_table(options.table)
        ctx.say("\n".join([header(table), *(line(list(record.values())) for record in gone)]))
    else:
        ctx.say(f"tabprune of {options.table} complete.")
    return 0


def _prune(options: argparse.Namespace, connection: Connection) -> list[logs.Record]:
    if options.all:
        return logs.prune_all(connection, find_table(options.table))
    table = logs.log_table(options.table)
    if options.number is not None:
        choose = logs.first(_natural(options.number))
    elif options.percent is not None:
        choose = logs.percent(min(_natural(options.percent), 100))
    elif options.recid is not None:
        choose = logs.before_record(_natural(options.recid))
    else:
        moment = time.localtime(time.time() - _natural(options.days) * DAY)
        choose = logs.before_time(table, time.strftime("%Y-%m-%d %H:%M:%S", moment))
    return logs.prune(connection, table, choose)


def _natural(value: int) -> int:
    if value < 0:
        raise RequestError(f"{value} is negative.")
    return value


def _parser(ctx: Context) -> Parser:
    parser = Parser(ctx, "tabprune", description="Delete old records of auditlog and eventlog.")
    parser.add_version()
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("-a", dest="all", action="store_true", help="all rows; any table")
    which.add_argument("-n", dest="number", type=int, metavar="NUMBER", help="so many, the oldest first")
    which.add_argument("-p", dest="percent", type=int, metavar="PERCENT", help="this part, the oldest first")
    which.add_argument("-i", dest="recid", type=int, metavar="RECID", help="those with a lower recid")
    which.add_argument("-d", dest="days", type=int, metavar="DAYS", help="those older than so many days")
    parser.add_argument("-V", dest="show", action="store_true", help="print what is deleted, as tabdump does")
    parser.add_argument("table", metavar="TABLE")
    return parser
