"""`serval services`, makentp, makeconservercf: service nodes set up their daemons (xCAT(8)).

Each service node does it itself, as an attempt in its own queue, from what the tables say at that moment.
"""

import argparse
import time

from cli.arguments import Parser, command
from cli.context import Context
from cli.noderange import node_list
from cli.power import asked_before, broker, ring, wait
from core.syncspec import Mode
from db import jobs
from db.engine import Connection, reading, writing
from db.home import open_home
from db.lookup import effective
from db.schema import open_database
from drivers import leases
from routing import pools
from routing.spread import SpreadAsk, new_job

STRANGER = "is no service node: it has no row in the servicenode table, and is not the management node"


@command
def services(argv: list[str], ctx: Context) -> int:
    """Let service nodes set their services up, or check them; 1 when one of them cannot."""
    parser = Parser(
        ctx,
        "serval services",
        description="Make the daemons of service nodes what the tables say, and see whether they work.",
        epilog="Exit status: 0 when every service of every service node works, 1 when not.",
    )
    parser.add_argument("noderange", help="service nodes, or the management node")
    parser.add_argument("--check", action="store_true", help="change nothing, only look")
    add_options(parser)
    options = parser.parse_args(argv)
    return ask(ctx, options, "services", f"serval services {options.noderange}", options.noderange)


@command
def makentp(argv: list[str], ctx: Context) -> int:
    """Set the NTP server of the management node up, or with -a those of all service nodes too."""
    parser = Parser(ctx, "makentp", description="Set up NTP on the management node and its service nodes.")
    parser.add_version()
    parser.add_argument("-a", "--all", action="store_true", help="service nodes with setupntp=1 too")
    add_options(parser)
    return ask(ctx, parser.parse_args(argv), "makentp", "makentp", None)


@command
def makeconservercf(argv: list[str], ctx: Context) -> int:
    """Write the consoles of nodes into conserver's configuration, where their nodehm.conserver is."""
    parser = Parser(
        ctx, "makeconservercf", description="Configure conserver on the management node and service nodes."
    )
    parser.add_version()
    parser.add_argument("noderange", nargs="?", help="accepted as in xCAT; the whole file follows the tables")
    add_options(parser)
    options = parser.parse_args(argv)
    options.all = True
    return ask(ctx, options, "makeconservercf", "makeconservercf", None)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What all three understand."""
    parser.add_argument("-V", "--verbose", action="store_true", help="show the service nodes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a service node")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")


def ask(ctx: Context, options: argparse.Namespace, kind: str, label: str, noderange: str | None) -> int:
    """Enter the job and follow it; without a noderange it is for all that have the service."""
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return wait(ctx, engine, known, options)
    with reading(engine) as connection:
        if noderange is not None:
            nodes = node_list(connection, noderange, ctx)
        else:
            nodes = serving(connection, kind, home.mn) if options.all else [home.mn]
        able = pools.service_nodes(connection) | {home.mn}
    check = getattr(options, "check", False)
    spread = SpreadAsk(
        request=ctx.request,
        command=kind,
        label=label + (" --check" if check else ""),
        who=ctx.who,
        kinds=(kind,),
        pools={node: (node,) for node in nodes if node in able},
        hopeless={node: ("NodeError", STRANGER) for node in nodes if node not in able},
        mode=Mode.INSPECT if check else Mode.APPLY,
        changing=False,
    )
    leases.read(leases.connect(broker(home)))
    with writing(engine) as connection:
        number = jobs.enter(connection, new_job(spread), time.time())
    ring(home)
    return wait(ctx, engine, number, options)


#: Command → the column of servicenode that it is about.
COLUMNS = {"makentp": "ntpserver", "makeconservercf": "conserver"}


def serving(connection: Connection, kind: str, mn: str) -> list[str]:
    """The management node, and every service node that has anything in the column."""
    column = COLUMNS[kind]
    found = effective(connection, {"servicenode": [column]})
    return list(dict.fromkeys([mn, *(node for node, values in found.items() if values)]))
