"""`serval check`: what is wrong with the cluster's definition and its service nodes, and how to mend it."""

import json
import time

from cli.arguments import Parser, command
from cli.context import Context
from cli.objects import printable
from cli.plan import observe
from cli.power import broker
from core.checks import Cluster, Finding, Level, findings
from core.errors import UnavailableError
from db.engine import reading
from db.home import Home, open_home
from db.schema import open_database
from routing import checkup


@command
def check(argv: list[str], ctx: Context) -> int:
    """Print every finding with the command that mends it; 1 when there is an error."""
    parser = Parser(
        ctx,
        "serval check",
        description="Verify the hierarchy: pools, networks, nodes, names, service nodes.\n"
        "Each finding comes with the command that mends it. Nothing is changed.",
        epilog="Exit status: 1 when there is an error; 0 with warnings alone, or with nothing to mend.\n"
        "docs/how-to/check-a-site.md says what is checked and what is not.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a finding")
    parser.add_argument(
        "--tables", action="store_true", help="the tables alone: no name is resolved and no lease is read"
    )
    options = parser.parse_args(argv)
    home = open_home(ctx.env)
    with reading(open_database(ctx.env)) as connection:
        cluster = checkup.gather(connection, home.mn)
    if not options.tables:
        cluster = _with_leases(checkup.look_up(cluster), home, ctx)
    found = list(findings(cluster))
    for name, one in found:
        ctx.say(_as_json(name, one) if options.json else _as_text(one))
    if not found and not options.json:
        ctx.say("nothing to mend")
    return 1 if any(one.level is Level.ERROR for _, one in found) else 0


def _with_leases(cluster: Cluster, home: Home, ctx: Context) -> Cluster:
    """The cluster with its leases, or with the reason why they cannot be read."""
    try:
        observer = observe(broker(home), checkup.member_names(cluster))
    except UnavailableError as error:
        return checkup.without_leases(cluster, error.message)
    now = time.time()
    with reading(open_database(ctx.env)) as connection:
        return checkup.with_leases(cluster, connection, observer, now)


def _as_text(one: Finding) -> str:
    return printable(f"{one.level}: {one.about}: {one.sentence}") + f"\n  mend: {printable(one.mend)}"


def _as_json(name: str, one: Finding) -> str:
    told = {"check": name, "level": one.level, "about": one.about, "sentence": one.sentence, "mend": one.mend}
    return json.dumps(told, ensure_ascii=False)
