"""nodestat: whether nodes answer, and what is recorded of them (xCAT nodestat(1))."""

import time
from collections.abc import Mapping

from cli.arguments import Parser, command
from cli.context import Context
from cli.noderange import node_list
from cli.objects import printable
from cli.power import broker
from core.errors import UnavailableError
from core.power import Action
from core.states import JobState
from db import jobs, nodestatus
from db.engine import Connection, Engine, reading, writing
from db.home import Home, open_home
from db.lookup import effective, site_values
from db.schema import open_database
from drivers import leases, wake
from drivers.nodeprobe import Answer, look
from drivers.resolve import Resolver
from routing.asking import Asked, new_job

#: nodelist.status of a node that answers, and of one that does not.
RECORDED = {Answer.SSHD: "alive", Answer.PING: "alive", Answer.NOPING: "unreachable"}
APPLICATION = {Answer.SSHD: "sshd=up", Answer.PING: "sshd=down", Answer.NOPING: "sshd=down"}
LOOK_S = 0.1


@command
def nodestat(argv: list[str], ctx: Context) -> int:
    """Ask nodes, or look up what is recorded; one line a node."""
    parser = Parser(
        ctx,
        "nodestat",
        description="Show whether nodes answer: sshd, ping (but no sshd) or noping.",
        epilog="Exit status: 1 when a node has no address.",
    )
    parser.add_version()
    parser.add_argument("noderange", metavar="NODERANGE")
    parser.add_argument(
        "-m", "--usemon", action="store_true", help="ask nobody: show nodelist.status and appstatus"
    )
    parser.add_argument(
        "-p", "--powerstat", action="store_true", help="show the power state of those that do not answer"
    )
    parser.add_argument("-f", action="store_true", help="no effect: nothing is cached")
    parser.add_argument(
        "-u", "--updatedb", action="store_true", help="write alive or unreachable into nodelist.status"
    )
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    with reading(engine) as connection:
        nodes = node_list(connection, options.noderange, ctx)
        if options.usemon:
            for node, text in recorded(connection, nodes).items():
                ctx.say(f"{node}: {printable(text)}")
            return 0
        addresses = look_up(connection, nodes)
    found = look(addresses)
    silent = [node for node in nodes if found.get(node) is Answer.NOPING]
    powers = power_states(ctx, home, engine, silent) if options.powerstat and silent else {}
    for node in nodes:
        if node in found:
            ctx.say(f"{node}: {found[node]}" + (f"({powers[node]})" if node in powers else ""))
        else:
            ctx.complain(f"{node}: Error: its name does not resolve, and the hosts table gives no address")
    if options.updatedb:
        update(engine, found)
    return 0 if found.keys() >= set(nodes) else 1


def recorded(connection: Connection, nodes: list[str]) -> dict[str, str]:
    """What nodelist says of each node."""
    values = effective(connection, {"nodelist": ["status", "appstatus"]}, nodes)
    columns = ("nodelist.status", "nodelist.appstatus")
    return {node: ",".join(own[key] for key in columns if key in own) for node, own in values.items()}


def look_up(connection: Connection, nodes: list[str]) -> dict[str, str]:
    """The address of each node that has one: hosts.ip, else its name's."""
    values = effective(connection, {"hosts": ["ip"]}, nodes, unreadable={})
    hosts = {node: values.get(node, {}).get("hosts.ip") or node for node in nodes}
    resolver = Resolver()
    found = resolver.addresses(set(hosts.values()))
    resolver.close()
    return {node: found[host] for node, host in hosts.items() if host in found}


def power_states(ctx: Context, home: Home, engine: Engine, nodes: list[str]) -> dict[str, str]:
    """What the BMCs of nodes say, by a job of its own. Raises UnavailableError without Redis."""
    redis = leases.connect(broker(home))
    label = f"rpower {len(nodes)} nodes stat (nodestat)"
    asked = Asked(f"{ctx.request}:power", "rpower", Action.STAT, nodes, label, ctx.who)
    with reading(engine) as connection:
        job = new_job(connection, asked, home.mn)
    with writing(engine) as connection:
        number = jobs.enter(connection, job, time.time())
    wake.ring(redis)
    while True:
        with reading(engine) as connection:
            info = jobs.info(connection, number)
            results = jobs.results(connection, number)
        if info is None:
            raise UnavailableError(f"job {number} is gone")
        if info.state == JobState.DONE:
            return {one.node: printable(one.text) for one in results}
        time.sleep(LOOK_S)


def update(engine: Engine, found: Mapping[str, Answer]) -> None:
    """Write what was found, unless site.nodestatus says that statuses are not written."""
    with writing(engine) as connection:
        if nodestatus.is_written(site_values(connection)):
            now = time.time()
            nodestatus.write(connection, {node: RECORDED[one] for node, one in found.items()}, now)
            nodestatus.write_apps(connection, {node: APPLICATION[one] for node, one in found.items()}, now)
