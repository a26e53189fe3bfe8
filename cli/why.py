"""`serval why NODE`: what happened to a node in its newest jobs, step by step."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from cli.arguments import Parser, command
from cli.columns import clock, date
from cli.context import Context
from cli.jobs import find_job, positive
from cli.noderange import node_list
from cli.objects import printable
from core.errors import NoderangeError, RequestError
from core.fold import unfold
from core.states import NodeState, Outcome
from db import events, history, jobs
from db.engine import Connection, reading
from db.history import AttemptInfo
from db.jobs import JobInfo, NodeResult
from db.schema import open_database
from routing.planning import read_tried

#: More nodes than this nobody reads; `serval job` folds them.
MOST_NODES = 32
#: States in which no attempt holds the node.
FREE = (NodeState.WAITING, NodeState.HOPPED)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a node in a job; `at` is None for what holds now."""

    at: float | None
    kind: str
    text: str
    sn: str | None = None
    attempt: int | None = None


@command
def why(argv: list[str], ctx: Context) -> int:
    """Explain what happened to nodes, one line a step."""
    parser = Parser(ctx, "serval why", description="Tell what happened to a node, step by step.")
    parser.add_argument("node", metavar="NODE", help=f"a node, or a noderange of at most {MOST_NODES}")
    parser.add_argument("--job", metavar="ID", help="in this job (default: the newest one)")
    parser.add_argument("-n", dest="most", default="1", metavar="N", help="in the N newest jobs")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a step")
    options = parser.parse_args(argv)
    most = positive(parser, options.most)
    with reading(open_database(ctx.env)) as connection:
        only = find_job(connection, options.job) if options.job is not None else None
        for node in few_nodes(connection, options.node, ctx):
            numbers = [only.id] if only else jobs.jobs_of_node(connection, node, most)
            if not numbers:
                raise RequestError(f"{node} was part of no job that is still remembered")
            for number in numbers:
                explain(ctx, connection, number, node, options.json)
    return 0


def few_nodes(connection: Connection, text: str, ctx: Context) -> list[str]:
    """The nodes meant. One that is no longer defined is known by its jobs. Raises RequestError."""
    try:
        nodes = node_list(connection, text, ctx)
    except NoderangeError:
        if not jobs.jobs_of_node(connection, text, 1):
            raise
        return [text]
    if len(nodes) > MOST_NODES:
        raise RequestError(
            f"'{text}' names {len(nodes)} nodes; name at most {MOST_NODES}, or fold them with: serval job ID"
        )
    return nodes


def explain(ctx: Context, connection: Connection, number: int, node: str, as_json: bool) -> None:
    """Print the steps of one node in one job. Raises RequestError when it was not part of it."""
    info, found = jobs.info(connection, number), jobs.node_state(connection, number, node)
    if info is None or found is None:
        raise RequestError(f"{node} was not part of job {number}")
    state, result = found
    if not as_json:
        ctx.say(f"{node} in job {number} ({printable(info.label)}, {date(info.created)})")
    for step in steps(connection, info, state, result):
        if as_json:
            told = {"job": number, "node": node, **asdict(step)}
            ctx.say(json.dumps(told, ensure_ascii=False))
        else:
            ctx.say(f"  {clock(step.at) or 'now':<12}  {printable(step.text)}")


def steps(connection: Connection, info: JobInfo, state: str, result: NodeResult) -> list[Step]:
    """Everything that is known, in the order of time; what has no time of its own comes last."""
    happened = [*happenings(connection, info, result), *attempt_steps(connection, info, result.node)]
    fenced = {step.attempt for step in happened if step.kind == "fence"}
    wanted = [step for step in happened if step.kind != "ended" or step.attempt not in fenced]
    wanted.append(ending(state, result))
    return sorted(wanted, key=lambda step: float("inf") if step.at is None else step.at)


def happenings(connection: Connection, info: JobInfo, result: NodeResult) -> Iterator[Step]:
    """Who asked, and the record: passed over, hops, fences, waits, late answers."""
    pool = history.pool_of(connection, info.id, result.node)
    served = f"; its service nodes: {pool}" if pool else ""
    yield Step(info.created, "asked", f"asked by {info.who}{served}")
    for one in events.of_job(connection, info.id, result.node):
        attempt = f"attempt {one.attempt}: " if one.attempt else ""
        yield Step(one.at, one.kind, f"{attempt}{one.message}", one.sn, one.attempt)


def attempt_steps(connection: Connection, info: JobInfo, node: str) -> Iterator[Step]:
    """The attempts that the node was part of: given, claimed, given up."""
    for one in history.attempts_of(connection, info.id):
        if node in unfold(one.nodes):
            yield from attempt_life(one)


def attempt_life(one: AttemptInfo) -> Iterator[Step]:
    """The moments of one attempt."""
    given = f"attempt {one.id}: given to {one.sn} in a batch of {one.size}, queue {one.queue}"
    yield Step(one.created, "bound", given, one.sn, one.id)
    if one.claimed is not None:
        yield Step(one.claimed, "claimed", f"attempt {one.id}: claimed by {one.sn}", one.sn, one.id)
    if one.ended is not None and one.reason:
        yield Step(one.ended, "ended", f"attempt {one.id}: ended: {one.reason}", one.sn, one.id)


def ending(state: str, result: NodeResult) -> Step:
    """The outcome, or where the node stands now."""
    hops = "; ".join(str(one) for one in read_tried(result.tried))
    after = f" (after {hops})" if hops else ""
    if result.outcome == Outcome.UNREACHED:  # its message names every service node that was tried
        return Step(result.ended, "outcome", f"{result.outcome}: {result.text}", result.sn)
    if state == NodeState.DONE:
        by = f", from {result.sn}" if result.sn else ""
        return Step(result.ended, "outcome", f"{result.outcome}: {result.text}{by}{after}", result.sn)
    holder = f" (attempt {result.attempt})" if result.attempt and state not in FREE else ""
    last = f": {result.text}" if result.text else ""
    return Step(None, state, f"{state}{holder}{last}{after}", result.sn, result.attempt)
