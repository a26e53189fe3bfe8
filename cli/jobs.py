"""`serval jobs|job|cancel`: what was asked and how it stands, and ending what was not sent yet."""

import json
import time

from cli.arguments import Parser, command
from cli.columns import aligned, counted, date
from cli.context import Context
from cli.jobpage import info_json, lines, page_json, read_page
from cli.power import ring
from core import syncspec
from core.errors import RequestError
from core.fold import fold
from core.states import NodeState, Outcome
from core.stepspec import WAIT, refused, step_of
from db import history, jobs, steps
from db.engine import Connection, Engine, reading, writing
from db.home import open_home
from db.jobs import JobInfo
from db.schema import open_database

HEADS = ("JOB", "STATE", "WHO", "ASKED", "COMMAND", "NODES")
#: Job numbers are 32-bit integers in the database.
DIGITS = 9


def find_job(connection: Connection, word: str) -> JobInfo:
    """The job with this number. Raises RequestError when it is no number, or there is no such job."""
    if not is_number(word):
        raise RequestError(f"'{word}' is not a job number; see: serval jobs")
    found = jobs.info(connection, int(word))
    if found is None:
        raise RequestError(f"there is no job {word}; see: serval jobs")
    return found


def positive(parser: Parser, word: str) -> int:
    """A whole number of at least 1. Raises RequestError."""
    if not is_number(word) or int(word) == 0:
        parser.error(f"-n {word}: it must be a whole number, 1 or more")
    return int(word)


def is_number(word: str) -> bool:
    """Whether these are digits that fit into a column of the database."""
    return word.isascii() and word.isdecimal() and len(word) <= DIGITS


@command
def listing(argv: list[str], ctx: Context) -> int:
    """The newest jobs, newest first."""
    parser = Parser(ctx, "serval jobs", description="List the newest jobs, newest first.")
    parser.add_argument("-n", dest="most", default="20", metavar="N", help="at most so many (default 20)")
    parser.add_argument("--active", action="store_true", help="only those that still have work")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a job")
    options = parser.parse_args(argv)
    most = positive(parser, options.most)
    with reading(open_database(ctx.env)) as connection:
        found = jobs.recent(connection, most, active=options.active)
    if options.json:
        for info in found:
            ctx.say(json.dumps(info_json(info), ensure_ascii=False))
    elif found:
        rows = [(i.id, i.state, i.who, date(i.created), i.label, counted(i.counts)) for i in found]
        for line in aligned(HEADS, rows):
            ctx.say(line)
    else:
        ctx.say("no job is active" if options.active else "no job was asked yet")
    return 0


@command
def show(argv: list[str], ctx: Context) -> int:
    """One job, folded by outcome and message."""
    parser = Parser(ctx, "serval job", description="Show one job: outcomes, service nodes, attempts, hops.")
    parser.add_argument("job", metavar="ID", help="number of the job")
    parser.add_argument("--json", action="store_true", help="one JSON object in one line")
    options = parser.parse_args(argv)
    with reading(open_database(ctx.env)) as connection:
        page = read_page(connection, find_job(connection, options.job))
    if options.json:
        ctx.say(page_json(page))
    else:
        for line in lines(page):
            ctx.say(line)
    return 0


@command
def cancel(argv: list[str], ctx: Context) -> int:
    """End what a job has not sent yet; 1 when the job was over already."""
    parser = Parser(
        ctx,
        "serval cancel",
        description="End what a job has not sent yet. What was sent is not undone, and is waited for.\n"
        "A build (genimage, packimage, copycds …) is ended, and leaves nothing.",
        epilog="Exit status: 0, or 1 when the job was over already.",
    )
    parser.add_argument("job", metavar="ID", help="number of the job")
    parser.add_argument("--chain", action="store_true", help="also what follows it in its Python chain")
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    with reading(engine) as connection:
        info = find_job(connection, options.job)
    following = _cancel_chain(ctx, engine, info) if options.chain else []
    if following:
        ctx.say(f"{len(following)} steps of its chain are cancelled: {', '.join(following)}")
    if not info.counts.get(""):
        ring(home)
        left = "" if following or not options.chain else "; nothing of its chain is left"
        ctx.complain(f"job {info.id} was over already: {counted(info.counts)}{left}")
        return 0 if following else 1
    ended = set(jobs.cancel(engine, info.id, ctx.who, time.time()))
    ring(home)
    _tell(ctx, engine, info, ended)
    return 0


def _tell(ctx: Context, engine: Engine, info: JobInfo, ended: set[str]) -> None:
    """What cancelling these nodes of a job came to."""
    with reading(engine) as connection:
        results = jobs.results(connection, info.id)
        waiting = steps.waiting_after(connection, step_of(info.request))
        goes_on = history.open_nodes(connection, info.id)
    unknown = [one.node for one in results if one.node in ended and one.outcome == Outcome.UNKNOWN]
    sent = [one.node for one in goes_on if one.state == NodeState.ISSUED]
    ctx.say(f"job {info.id}: {_named(ended.difference(unknown))} cancelled; {_undone(info)}")
    if unknown:
        ctx.say(f"{_named(unknown)} unknown: an earlier service node may have sent the command")
    if sent:
        ctx.say(f"{_named(sent)} had been sent already and will end by themselves: serval watch {info.id}")
    if waiting:
        ctx.complain(
            f"{len(waiting)} steps of its chain go on with the nodes that are ok; "
            f"serval cancel {info.id} --chain ends them too"
        )
    if before := len(results) - len(ended):
        ctx.say(f"{before} had ended before")


def _undone(info: JobInfo) -> str:
    """What cancelling means: a build may run already, and leaves nothing."""
    spread = syncspec.from_text(info.spec)
    if spread and spread.queue:
        return "what runs of it is ended, and what it was making is removed"
    return "nothing was sent to them"


def _cancel_chain(ctx: Context, engine: Engine, info: JobInfo) -> list[str]:
    """End the steps that follow the job, and a wait that runs; their commands. Raises RequestError."""
    with writing(engine) as connection:
        chain = steps.chain_of(connection, step_of(info.request))
        if chain is None:
            raise RequestError(f"job {info.id} is no step of a chain")
        return steps.cancel(connection, chain, WAIT, refused(f"cancelled by {ctx.who}"))


def _named(nodes: set[str] | list[str]) -> str:
    """`3 (n[1-3])`, or `0`."""
    return f"{len(nodes)} ({fold(nodes)})" if nodes else "0"
