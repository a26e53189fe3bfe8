"""nodeset: what nodes boot next, decided here and carried to every service node of their pools (xCAT)."""

import argparse
import json
import time
from functools import partial

from cli.arguments import Parser, command
from cli.context import Context
from cli.images import wait_for_images
from cli.noderange import node_list
from cli.nodesetstat import stat, states_of
from cli.power import asked_before, ring, submit_and_follow, wait
from core.errors import RequestError
from core.nodeset.words import USAGE, parse
from db.engine import Engine, reading, writing
from db.home import Home, open_home
from db.schema import open_database
from routing import nodeset as rules
from routing.nodeset import Plan

STAT = "stat"
#: What an installer asks for when it is done: the next step of the chain.
NEXT = "next"


def nodeset_parser(ctx: Context) -> Parser:
    """The options of nodeset."""
    parser = Parser(
        ctx,
        "nodeset",
        description="Set what nodes boot next, and make every service node of their pools ready for it.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_version()
    parser.add_argument("noderange", help="nodes and groups, such as compute,-n[001-004]")
    parser.add_argument("state", nargs="?", help=USAGE)
    parser.add_argument(
        "-V", "--verbose", action="store_true", help="show the service nodes; with stat, ask them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a node")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    parser.add_argument(
        "--wait", action="store_true", help="wait until service nodes have the image, instead of refusing"
    )
    parser.add_argument("--plan", action="store_true", help="print what would be set; nothing is")
    parser.add_argument("--supersede", action="store_true", help="cancel what older jobs have not sent yet")
    parser.add_argument(
        "--noupdateinitrd", action="store_true", help="no effect: kernel and initrd are not copied"
    )
    parser.add_argument("--ignorekernelchk", action="store_true", help="no effect: there is no such check")
    return parser


@command
def nodeset(argv: list[str], ctx: Context) -> int:
    """Set or show what nodes boot next."""
    options = nodeset_parser(ctx).parse_args(argv)
    if options.state is None:
        raise RequestError(f"nodeset needs a state: {USAGE}")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if options.state == STAT:
        return stat(ctx, home, engine, options)
    if options.state == NEXT:
        return advance(ctx, home, engine, options)
    chain = parse(options.state)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return wait(ctx, engine, known, options)
    with reading(engine) as connection:
        nodes = node_list(connection, options.noderange, ctx)
        made = rules.plan(connection, chain, nodes, home)
    if options.wait and not options.plan and made.images.lacking:
        wait_for_images(ctx, home, engine, made.images, options)
        with reading(engine) as connection:
            made = rules.plan(connection, chain, nodes, home)
    if options.plan:
        return print_plan(ctx, made, options.json)
    return submit_and_follow(ctx, home, engine, partial(submit, ctx, engine, made, options), options)


def submit(ctx: Context, engine: Engine, made: Plan, options: argparse.Namespace) -> int:
    """Write the plan and its job; the job's number."""
    label = f"nodeset {options.noderange} {options.state}"
    named = {"request": ctx.request, "label": label, "who": ctx.who}
    supersede, fold = options.supersede, not options.no_wait
    with writing(engine) as connection:
        return rules.enter(connection, made, time.time(), supersede=supersede, fold=fold, **named)


def print_plan(ctx: Context, made: Plan, as_json: bool) -> int:
    """One line a node; 1 when one of them cannot be done."""
    for node in sorted({*made.decisions, *made.hopeless}):
        decision, (_, reason) = made.decisions.get(node), made.hopeless.get(node, ("", ""))
        if as_json:
            told = {"node": node, "state": decision.state if decision else None, "message": reason or None}
            ctx.say(json.dumps(told | {"pool": list(made.pools.get(node, ()))}, ensure_ascii=False))
        elif decision:
            ctx.say(f"{node}: {decision.state} (from {','.join(made.shared or made.pools[node])})")
        else:
            ctx.complain(f"{node}: Error: {reason}")
    return 1 if made.hopeless else 0


def advance(ctx: Context, home: Home, engine: Engine, options: argparse.Namespace) -> int:
    """Go on to the next step of each node's chain; service nodes catch up by themselves."""
    with reading(engine) as connection:
        nodes = node_list(connection, options.noderange, ctx)
    with writing(engine) as connection:
        made = rules.advance(connection, nodes, home, time.time())
        states = states_of(connection, nodes)
    ring(home)
    for node in nodes:
        if node in made.hopeless:
            ctx.complain(f"{node}: Error: {made.hopeless[node][1]}")
        else:
            ctx.say(f"{node}: {states[node]}")
    return 1 if made.hopeless else 0
