"""snmove: nodes go to another service node of theirs (xCAT snmove(1))."""

import argparse
import time
from dataclasses import replace

from cli.arguments import Parser, command
from cli.context import Context
from cli.makedhcp import makedhcp
from cli.noderange import node_list
from cli.objects import printable
from cli.power import asked_before, broker, ring, wait
from cli.services import makeconservercf
from core.errors import RequestError
from core.fold import fold
from core.snmoving import CONSOLE
from core.wanted import Kind
from db import wanted
from db.engine import Engine, one_writer, reading, writing
from db.home import Home, open_home
from db.schema import open_database
from drivers import leases
from routing import nodeset as nodeset_rules
from routing import snmove as rules
from routing.dhcp import outdated
from routing.snmove import Asked, Moves

MOVING = "Moving nodes to their backup service nodes."
SETTING = "Setting new values in the xCAT database."


def snmove_parser(ctx: Context) -> Parser:
    """The options of snmove."""
    parser = Parser(
        ctx,
        "snmove",
        description="Move nodes to another service node: it comes to the front of their pools, and what "
        "names the old one (xcatmaster, tftpserver, nfsserver, monserver, conserver) names the new one.",
        epilog="Without -d each node goes to the second of its pool. The new service node need not be up.\n"
        "Exit status: 0 when every node was moved and its service nodes are ready for it.",
    )
    parser.add_version()
    parser.add_argument("noderange", nargs="?", metavar="NODERANGE", help="the nodes; with -s, among them")
    parser.add_argument("-s", "--source", default="", metavar="SN", help="nodes whose pool begins with SN")
    parser.add_argument(
        "-S", "--sourcen", default="", metavar="HOST", help="how nodes know the old service node"
    )
    parser.add_argument("-d", "--dest", default="", metavar="SN", help="the new service node")
    parser.add_argument("-D", "--destn", default="", metavar="HOST", help="how nodes know the new one")
    parser.add_argument("-i", "--ignorenodes", action="store_true", help="do nothing on the nodes themselves")
    parser.add_argument(
        "-P", "--postscripts", default="", metavar="SCRIPTS", help="run these too on the nodes, or `all`"
    )
    parser.add_argument("-l", "--liteonly", action="store_true", help="no effect: it is about AIX")
    parser.add_argument("-V", "--verbose", action="store_true", help="show every value that is set")
    parser.add_argument("--no-wait", action="store_true", help="print the jobs' numbers and leave")
    parser.set_defaults(json=False)
    return parser


@command
def snmove(argv: list[str], ctx: Context) -> int:
    """Write where nodes go and what they boot, in one transaction, and follow their service nodes' work."""
    options = snmove_parser(ctx).parse_args(argv)
    if not (options.noderange or options.source):
        raise RequestError("snmove needs nodes, or -s with their service node")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again:
        return go_on(ctx, home, engine, options)
    leases.read(leases.connect(broker(home)))  # without Redis nothing is begun
    made, numbers, left = move(ctx, home, engine, options)
    if not made.changes:
        ctx.say("No nodes have to be moved.")
        return 0
    ctx.say(MOVING)
    ctx.say(SETTING)
    for node, changes in made.changes.items() if options.verbose else ():
        for column, value in changes.items():
            ctx.say(f"{node}: {column}={printable(value)}")
    ring(home)
    status = max([wait(ctx, engine, number, options) for number in numbers], default=0)
    consoles = any(CONSOLE in changes for changes in made.changes.values())
    status = max(status, tell_servers(ctx, left, options, consoles=consoles))
    if not options.ignorenodes:
        scripts = ",".join(dict.fromkeys(["syslog", *filter(None, options.postscripts.split(","))]))
        ctx.complain(
            f"Warning: the postscripts {printable(scripts)} were not run on {fold(made.changes)}: there is "
            "no updatenode yet. Nodes that run keep what they know of the old service node until they boot"
        )
    return status


def move(
    ctx: Context, home: Home, engine: Engine, options: argparse.Namespace
) -> tuple[Moves, list[int], set[str]]:
    """Write it all: what was moved, the jobs that make boot files, and nodes whose DHCP records are left.

    Raises RequestError when some node cannot be moved; then none was.
    """
    asked = Asked(options.source, options.sourcen, options.dest, options.destn)
    with writing(engine) as connection:
        one_writer(connection)
        nodes = node_list(connection, options.noderange, ctx) if options.noderange else None
        if options.source:
            nodes = rules.served_by(connection, options.source, nodes)
        made = rules.plan(connection, asked, nodes or [], home.mn)
        for node, why in made.hopeless.items():
            ctx.complain(f"{node}: Error: {printable(why)}")
        if made.hopeless:
            raise RequestError("Nothing was moved.")
        rules.write(connection, made)
        left = set(wanted.documents(connection, Kind.DHCP, made.changes))
        numbers = []
        for place, (chain, plan) in enumerate(rules.again(connection, made.changes, home)):
            number = nodeset_rules.enter(
                connection,
                plan,
                time.time(),
                request=f"{ctx.request}:{place}",
                label=f"snmove nodeset {chain}",
                who=ctx.who,
            )
            numbers.append(number)
            left -= plan.decisions.keys() if Kind.DHCP in plan.kinds else set()
    return made, numbers, left


def tell_servers(ctx: Context, left: set[str], options: argparse.Namespace, *, consoles: bool) -> int:
    """Have DHCP servers and console servers follow the tables, each as a job of its own; the exit status."""
    own = ["--no-wait"] if options.no_wait else []
    status = 0
    if left:
        status = makedhcp([fold(left), *own], replace(ctx, request=f"{ctx.request}:dhcp"))
    if consoles:
        status = max(status, makeconservercf(own, replace(ctx, request=f"{ctx.request}:conserver")))
    return status


def go_on(ctx: Context, home: Home, engine: Engine, options: argparse.Namespace) -> int:
    """Go on for a client that lost its command server; nothing is moved twice.

    Which nodes were moved is not known any more, so what servers may not know yet is looked for.
    """
    numbers: list[int] = []
    while (number := asked_before(engine, f"{ctx.request}:{len(numbers)}")) is not None:
        numbers.append(number)
    if not numbers:
        raise RequestError(
            "the command server was lost, perhaps before nodes were moved; see: nodels NODERANGE "
            "noderes.servicenode"
        )
    status = max(wait(ctx, engine, number, options) for number in numbers)
    with reading(engine) as connection:
        left = outdated(connection, home.mn)
    return max(status, tell_servers(ctx, left, options, consoles=True))
