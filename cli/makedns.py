"""makedns: the names of nodes in the cluster's DNS (xCAT makedns(8)).

The records come from the tables that makehosts reads; they are held by the management node and by service
nodes with setupnameserver=2. Other service nodes ask the management node.
"""

import argparse
import time
from dataclasses import dataclass

from cli.arguments import Parser, command
from cli.context import Context
from cli.makehosts import full_lines
from cli.noderange import node_list
from cli.objects import printable
from cli.power import asked_before, broker, ring, wait
from core.errors import RequestError
from core.fold import fold
from core.hostsfile import Line
from core.netdoc import NetworksDoc
from core.wanted import Kind
from db import jobs
from db.engine import Connection, Engine, reading, writing
from db.home import Home, open_home
from db.lookup import Unreadable
from db.netvalues import networks_doc, serving
from db.nodes import DatabaseNodes
from db.schema import open_database
from drivers import leases
from drivers.resolve import Resolver
from routing import nameservice
from routing.spread import SpreadAsk, new_job


@dataclass(slots=True)
class Records:
    """What is to be written; `nodes` is None when it is all."""

    nodes: list[str] | None
    lines: list[Line]
    #: Sentences about nodes that get no record.
    problems: list[str]


def makedns_parser(ctx: Context) -> Parser:
    """The options of makedns."""
    parser = Parser(
        ctx,
        "makedns",
        description="Make the cluster's name servers know nodes.",
        epilog="Exit status: 0 when all is well, 1 when a node has no address or a server is not ready.",
    )
    parser.add_version()
    parser.add_argument("-n", dest="new", action="store_true", help="configure the name servers too")
    parser.add_argument("-d", dest="delete", action="store_true", help="take the nodes' records away")
    parser.add_argument("-e", dest="external", action="store_true", help="refused: a DNS server elsewhere")
    parser.add_argument("-V", "--verbose", action="store_true", help="show the service nodes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a server")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    parser.add_argument("noderange", nargs="?", metavar="NODERANGE", help="all nodes when it is left out")
    return parser


@command
def makedns(argv: list[str], ctx: Context) -> int:
    """Write the records, and have the name servers take them over."""
    options = makedns_parser(ctx).parse_args(argv)
    if options.external:
        raise RequestError("makedns -e updates a DNS server elsewhere, which Serval cannot: leave -e out.")
    if options.delete and not options.noderange:
        raise RequestError("makedns -d needs the nodes whose records shall go.")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    with reading(engine) as connection:
        records = gather(connection, options, ctx)
        networks = networks_of(connection, home.mn) if options.new else None
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow(ctx, engine, known, records, options)
    leases.read(leases.connect(broker(home)))
    for sentence in records.problems:
        ctx.complain(f"Error: {printable(sentence)}")
    if records.nodes:
        ctx.say(f"Handling {fold(records.nodes)}.")
    with writing(engine) as connection:
        number = enter(connection, records, networks, home, ctx)
    ring(home)
    return follow(ctx, engine, number, records, options)


def follow(ctx: Context, engine: Engine, number: int, records: Records, options: argparse.Namespace) -> int:
    """Wait for the name servers; the exit status of the command."""
    status = wait(ctx, engine, number, options)
    if status == 0 and not options.no_wait:
        with reading(engine) as connection:
            served = nameservice.served(connection)
        if served:
            ctx.say("DNS setup is completed")
        else:
            ctx.complain(
                "Warning: no host has setupnameserver, so nobody answers for these names: chdef the "
                "management node setupnameserver=1, and service nodes 1 or 2; then makedns -n"
            )
    return 1 if records.problems else status


def gather(connection: Connection, options: argparse.Namespace, ctx: Context) -> Records:
    """The records of the nodes that were asked for; none of those that shall lose theirs."""
    source = DatabaseNodes(connection)
    whole = options.noderange is None
    nodes = sorted(source.nodes()) if whole else node_list(connection, options.noderange, ctx)
    if options.delete:
        return Records(nodes, [], [])
    unreadable: Unreadable = {}
    lines = full_lines(connection, nodes, source.site, unreadable)
    problems = [f"{node}: {why}" for (node, _), why in unreadable.items()]
    if not whole:
        without = sorted(set(nodes) - {line.node for line in lines})
        problems += [f"{node}: hosts.ip is not set. chdef {node} ip=ADDRESS sets it." for node in without]
    return Records(None if whole else nodes, lines, problems)


def enter(
    connection: Connection, records: Records, networks: NetworksDoc | None, home: Home, ctx: Context
) -> int:
    """Write the documents, and the job of those that hold records (with -n: of every name server)."""
    holders = nameservice.name_servers(connection, home.mn)
    servers = holders
    if networks is not None:
        nameservice.write_networks(connection, networks, home.mn)
        servers = tuple(dict.fromkeys([*holders, *serving(connection, "nameserver")]))
    nameservice.write_names(connection, records.lines, records.nodes, holders)
    spread = SpreadAsk(
        request=ctx.request,
        command="makedns",
        label="makedns" if records.nodes is None else f"makedns {fold(records.nodes)}",
        who=ctx.who,
        kinds=(Kind.SERVICE,),
        pools={server: (server,) for server in servers},
        changing=False,
    )
    return jobs.enter(connection, new_job(spread), time.time())


def networks_of(connection: Connection, mn: str) -> NetworksDoc:
    """What servers must know of the networks, names resolved. Raises DefinitionError."""
    resolver = Resolver()
    try:
        return networks_doc(connection, mn, resolver.addresses)
    finally:
        resolver.close()
