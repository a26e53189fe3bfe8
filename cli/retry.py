"""`serval retry ID`: the same command again, for the nodes that it failed on."""

import time
from functools import partial

from cli.arguments import Parser, command
from cli.columns import counted
from cli.context import Context
from cli.jobs import find_job
from cli.objects import printable
from cli.plan import print_plan
from cli.power import add_job_options, asked_before, broker, confirm, submit_and_follow, wait
from core import jobspec, syncspec
from core.errors import RequestError
from core.fold import fold, unfold
from core.states import FAILED, Outcome
from db import events, jobs
from db.engine import Connection, reading
from db.home import open_home
from db.jobs import JobInfo
from db.nodes import DatabaseNodes
from db.schema import open_database
from routing.asking import Asked, new_job


@command
def retry(argv: list[str], ctx: Context) -> int:
    """Ask again for the nodes of a job that failed; 0 when every one is ok now."""
    parser = Parser(
        ctx,
        "serval retry",
        description="Ask the same again, as a new job, for the nodes that failed or were cancelled.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_argument("job", metavar="ID", help="number of the job")
    parser.add_argument(
        "--unknown", action="store_true", help="also nodes that may have done it; says what came in late"
    )
    add_job_options(parser)
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return wait(ctx, engine, known, options)
    with reading(engine) as connection:
        old = find_job(connection, options.job)
        if syncspec.from_text(old.spec) is not None:
            raise RequestError(
                f"job {old.id} is a {old.command}: run that command again. It does what is left to do, and "
                "service nodes that were away catch up by themselves"
            )
        failed = failed_nodes(connection, old, options.unknown)
        if not failed:
            return nothing(ctx, old)
        if options.unknown:
            tell_late_answers(ctx, connection, old, failed)
        nodes = still_defined(ctx, connection, failed)
        what = jobspec.from_text(old.spec).command
        label = f"{old.label.partition(' (retry of ')[0]} (retry of {old.id})"
        asked = Asked(ctx.request, old.command, what, nodes, label, ctx.who)
        job = new_job(connection, asked, home.mn)
        if not options.plan:
            confirm(ctx, connection, options, what, nodes)
    if options.plan:
        return print_plan(ctx, broker(home), job, options.json)
    submit = partial(jobs.submit, engine, job, time.time(), supersede=options.supersede)
    status = submit_and_follow(ctx, home, engine, submit, options)
    return status or int(len(nodes) < len(failed))


def failed_nodes(connection: Connection, old: JobInfo, unknown: bool) -> list[str]:
    """The nodes to ask again for, ordered by name."""
    again = {*FAILED, Outcome.UNKNOWN} if unknown else {*FAILED}
    return [result.node for result in jobs.results(connection, old.id) if result.outcome in again]


def nothing(ctx: Context, old: JobInfo) -> int:
    """Say why nothing is asked; 0 when that is because every node is ok."""
    if old.counts.get(Outcome.OK) == old.size:
        ctx.say(f"job {old.id}: every node is ok; nothing is asked again")
        return 0
    unknown = old.counts.get(Outcome.UNKNOWN)
    hint = f"; for the unknown ones: serval retry {old.id} --unknown" if unknown else ""
    raise RequestError(f"job {old.id} has no node that failed ({counted(old.counts)}){hint}")


def tell_late_answers(ctx: Context, connection: Connection, old: JobInfo, failed: list[str]) -> None:
    """What service nodes said too late: it may have been done already."""
    wanted = set(failed)
    for one in events.of_job(connection, old.id):
        if one.kind == "late" and (nodes := wanted.intersection(unfold(one.nodes))):
            ctx.complain(f"{fold(nodes)}: {printable(one.message)}")


def still_defined(ctx: Context, connection: Connection, failed: list[str]) -> list[str]:
    """Those of the nodes that still exist; the others are named. Raises RequestError when none does."""
    known = DatabaseNodes(connection).nodes()
    gone = [node for node in failed if node not in known]
    if gone:
        ctx.complain(f"{fold(gone)}: no longer defined, not asked again")
    if len(gone) == len(failed):
        raise RequestError("none of the nodes that failed is defined any more")
    return [node for node in failed if node in known]
