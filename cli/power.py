"""rpower and rsetboot: ask for a job on a noderange and follow it (xCAT rpower(1), rsetboot(1))."""

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cli.arguments import Parser, command
from cli.context import Context
from cli.follow import Follower, Options
from cli.noderange import node_list
from cli.plan import print_plan
from core.bootdev import BootRequest, parse_device
from core.errors import RequestError, UnavailableError
from core.fold import fold
from core.power import ALIASES, Action, parse_action
from core.site import number
from db import jobs
from db.engine import Connection, Engine, reading
from db.home import Home, open_home
from db.lookup import site_values
from db.schema import open_database
from drivers import leases, wake
from routing.asking import Asked, new_job

#: Actions that ask before they take down more than site.confirmnodes nodes.
CONFIRMED = frozenset({Action.OFF, Action.RESET, Action.CYCLE, Action.BOOT, Action.SUSPEND})
CONFIRM_NODES = 50

POWER_WORDS = "|".join([*(action.value for action in Action), *ALIASES])


def power_parser(ctx: Context) -> Parser:
    """The options of rpower."""
    parser = Parser(
        ctx,
        "rpower",
        description="Control or read the power of nodes, through their service nodes.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_version()
    parser.add_argument("noderange", help="nodes and groups, such as compute,-n[001-004]")
    parser.add_argument("action", nargs="?", help=POWER_WORDS)
    add_job_options(parser)
    return parser


def boot_parser(ctx: Context) -> Parser:
    """The options of rsetboot."""
    parser = Parser(
        ctx,
        "rsetboot",
        description="Set or read the device that nodes boot from next.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_version()
    parser.add_argument("noderange", help="nodes and groups, such as compute,-n[001-004]")
    parser.add_argument("device", nargs="?", help="net|hd|cd|default|bios|stat")
    parser.add_argument("-p", dest="persistent", action="store_true", help="keep it for every boot to come")
    parser.add_argument("-u", dest="uefi", action="store_true", help="boot in UEFI mode")
    add_job_options(parser)
    return parser


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """What every command that becomes a job understands."""
    parser.add_argument("-V", "--verbose", action="store_true", help="show service node and hops")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a node")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    parser.add_argument("--plan", action="store_true", help="print what would be sent where; nothing is")
    parser.add_argument("--supersede", action="store_true", help="cancel what older jobs have not sent yet")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask on many nodes")


@command
def rpower(argv: list[str], ctx: Context) -> int:
    """Ask for a power action on a noderange."""
    options = power_parser(ctx).parse_args(argv)
    if options.action is None:
        raise RequestError("Please enter an action (eg: boot,off,on, etc)")
    action = parse_action(options.action)
    return ask(ctx, options, "rpower", action, options.action)


@command
def rsetboot(argv: list[str], ctx: Context) -> int:
    """Ask for a boot device on a noderange."""
    options = boot_parser(ctx).parse_args(argv)
    if options.device is None:
        raise RequestError("Please enter a boot device (net|hd|cd|default|bios|stat)")
    boot = BootRequest(parse_device(options.device), options.persistent, options.uefi)
    return ask(ctx, options, "rsetboot", boot, options.device)


def ask(ctx: Context, options: argparse.Namespace, name: str, what: Action | BootRequest, word: str) -> int:
    """Submit the job and follow it; nothing runs when any node or setting is wrong."""
    home = open_home(ctx.env)
    engine = open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return wait(ctx, engine, known, options)
    with reading(engine) as connection:
        nodes = node_list(connection, options.noderange, ctx)
        label = f"{name} {options.noderange} {word}"
        asked = Asked(ctx.request, name, what, nodes, label, ctx.who)
        job = new_job(connection, asked, home.mn)
        if not options.plan:
            confirm(ctx, connection, options, what, nodes)
    if options.plan:
        return print_plan(ctx, broker(home), job, options.json)
    submit = partial(jobs.submit, engine, job, time.time(), supersede=options.supersede)
    return submit_and_follow(ctx, home, engine, submit, options)


def asked_before(engine: Engine, request: str) -> int | None:
    """The job of a request that was interrupted or lost its command server; None when it came not so far."""
    with reading(engine) as connection:
        known = jobs.by_request(connection, request)
    return known.id if known else None


def submit_and_follow(
    ctx: Context, home: Home, engine: Engine, submit: Callable[[], int], options: argparse.Namespace
) -> int:
    """Let the job be written, wake the supervisor and follow it; nothing is written without Redis."""
    redis = leases.connect(broker(home))
    leases.read(redis)
    try:
        number_ = submit()
        with suppress(UnavailableError):
            wake.ring(redis)
        return wait(ctx, engine, number_, options)
    except KeyboardInterrupt:
        known = asked_before(engine, ctx.request)
        if known is None:
            raise  # nothing was written, so there is nothing to say
        return Follower(ctx, engine, known, Options()).leave()


def ring(home: Home) -> None:
    """Wake the supervisor; without Redis it finds by itself what has changed."""
    with suppress(UnavailableError):
        wake.ring(leases.connect(broker(home)))


def wait(ctx: Context, engine: Engine, job: int, options: argparse.Namespace) -> int:
    """Follow the job, or only print its number."""
    if options.no_wait:
        ctx.say(f"job {job}")
        return 0
    return Follower(ctx, engine, job, Options(options.verbose, options.json)).follow()


def broker(home: Home) -> str:
    """The Redis URL. Raises UnavailableError when there is none."""
    url = home.broker_url()
    if url is None:
        raise UnavailableError(f"no Redis: {home.broker_file} does not exist. Start it with: serval up")
    return url


def confirm(
    ctx: Context,
    connection: Connection,
    options: argparse.Namespace,
    what: Action | BootRequest,
    nodes: list[str],
) -> None:
    """Ask before many nodes go down, on a terminal only. Raises RequestError when the answer is no."""
    most = int(number(site_values(connection), "confirmnodes", CONFIRM_NODES))
    risky = what in CONFIRMED and most and len(nodes) > most
    if not risky or options.yes or not (ctx.terminal and ctx.stdin.isatty()):
        return
    ctx.out.write(f"{what} concerns {len(nodes)} nodes: {fold(nodes)}\nGo on? [y/N] ")
    ctx.out.flush()
    if ctx.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RequestError("not confirmed; nothing was sent")
