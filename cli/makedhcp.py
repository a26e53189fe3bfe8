"""makedhcp: the DHCP records of nodes, and the configuration of DHCP servers (xCAT makedhcp(8))."""

import argparse
import time

from cli.arguments import Parser, command
from cli.context import Context
from cli.makedns import networks_of
from cli.noderange import node_list
from cli.power import asked_before, broker, ring, wait
from core.dhcpdoc import from_text
from core.errors import RequestError
from core.wanted import Kind
from db import jobs, wanted
from db.engine import Connection, Engine, reading, writing
from db.home import Home, open_home
from db.lookup import effective
from db.netvalues import serving
from db.schema import open_database
from drivers import leases
from drivers.resolve import Resolver
from routing import dhcp
from routing.nameservice import write_networks
from routing.spread import SpreadAsk, new_job


def makedhcp_parser(ctx: Context) -> Parser:
    """The options of makedhcp."""
    parser = Parser(
        ctx,
        "makedhcp",
        description="Make DHCP servers know nodes, show what they know, or configure the servers.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_version()
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-n", dest="new", action="store_true", help="configure the servers from the tables")
    what.add_argument("-a", dest="all", action="store_true", help="every node that has a MAC address")
    parser.add_argument("-q", dest="query", action="store_true", help="show the records of nodes")
    parser.add_argument("-d", dest="delete", action="store_true", help="take records away (with -a: all)")
    parser.add_argument("-l", dest="local", action="store_true", help="the management node's server alone")
    parser.add_argument("-s", dest="statements", metavar="STATEMENTS", help="refused: see the man page")
    parser.add_argument("-V", "--verbose", action="store_true", help="show the service nodes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a node")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    parser.add_argument("noderange", nargs="?", metavar="NODERANGE")
    return parser


@command
def makedhcp(argv: list[str], ctx: Context) -> int:
    """Write what DHCP servers shall know, and have them take it over."""
    options = makedhcp_parser(ctx).parse_args(argv)
    if options.statements is not None:
        raise RequestError(
            "makedhcp -s writes statements of ISC's dhcpd, and Serval's DHCP server is dnsmasq. Options of a "
            "network stand in the networks table: chdef -t network NAME ..."
        )
    if options.new and (options.noderange or options.delete):
        raise RequestError(
            "makedhcp -n is about the servers and takes no nodes: makedhcp -n, then makedhcp -a"
        )
    if not (options.new or options.all or options.noderange):
        either = "-a" if options.query or options.delete else "one of -n and -a"
        raise RequestError(f"makedhcp needs nodes, or {either}")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if options.query:
        return query(ctx, engine, options)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return wait(ctx, engine, known, options)
    leases.read(leases.connect(broker(home)))
    if options.new:
        return configure(ctx, home, engine, options)
    return record(ctx, home, engine, options)


def configure(ctx: Context, home: Home, engine: Engine, options: argparse.Namespace) -> int:
    """Write what servers must know of the networks, and have each set its DHCP server up."""
    with reading(engine) as connection:
        doc = networks_of(connection, home.mn)
        servers = [home.mn]
        if not options.local:
            servers += serving(connection, "dhcpserver") + serving(connection, "proxydhcp")
    spread = SpreadAsk(
        request=ctx.request,
        command="makedhcp",
        label="makedhcp -n",
        who=ctx.who,
        kinds=(Kind.SERVICE,),
        pools={server: (server,) for server in dict.fromkeys(servers)},
        changing=False,
    )
    with writing(engine) as connection:
        write_networks(connection, doc, home.mn)
        number = jobs.enter(connection, new_job(spread), time.time())
    ring(home)
    return wait(ctx, engine, number, options)


def record(ctx: Context, home: Home, engine: Engine, options: argparse.Namespace) -> int:
    """Write the records of nodes, or take them away, and have their servers take that over."""
    resolver = Resolver()
    try:
        with reading(engine) as connection:
            nodes = chosen(connection, options, ctx)
            if options.delete:
                made = dhcp.removal(connection, nodes, home)
            else:
                made = dhcp.plan(connection, nodes, home, resolver.addresses)
    finally:
        resolver.close()
    shown = {node: "removed" if options.delete else line(made.entries[node][1]) for node in made.entries}
    spread = SpreadAsk(
        request=ctx.request,
        command="makedhcp",
        label=f"makedhcp {'-d ' if options.delete else ''}{options.noderange or '-a'}",
        who=ctx.who,
        kinds=(Kind.DHCP,),
        pools=made.pools,
        texts=shown,
        hopeless=made.hopeless,
        also=made.also,
    )
    with writing(engine) as connection:
        dhcp.write(connection, made)
        number = jobs.enter(connection, new_job(spread), time.time())
    ring(home)
    return wait(ctx, engine, number, options)


def chosen(connection: Connection, options: argparse.Namespace, ctx: Context) -> list[str]:
    """The nodes that the command is about.

    With -a it is every node with a MAC address, with -a -d every name with a record.
    """
    if not options.all:
        return node_list(connection, options.noderange, ctx)
    if options.delete:
        return wanted.names(connection, Kind.DHCP)
    found = effective(connection, {"mac": ["mac"]}, None, {})
    return [node for node, values in found.items() if values]


def query(ctx: Context, engine: Engine, options: argparse.Namespace) -> int:
    """Print the records of nodes; 1 when a node has none."""
    with reading(engine) as connection:
        nodes = (
            wanted.names(connection, Kind.DHCP)
            if options.all
            else node_list(connection, options.noderange, ctx)
        )
        found = wanted.documents(connection, Kind.DHCP, nodes)
    for node in nodes:
        if node in found:
            ctx.say(f"{node}: {line(found[node])}")
        else:
            ctx.complain(f"{node}: Error: no DHCP record; makedhcp {node} makes one")
    return 0 if all(node in found for node in nodes) else 1


def line(document: str) -> str:
    """The record of a node's first interface, as makedhcp -q prints it."""
    first = from_text(document).hosts[0]
    return f"ip-address = {first.ip}, hardware-address = {first.mac}"
