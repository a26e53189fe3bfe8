"""Asking for a job, cancelling it, and reading how it stands: the side that commands see.

A changing job takes all its tickets in one transaction, and submissions of changing jobs go one after another
(`one_writer`), so the order of job numbers is the order in which jobs may touch a node.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.states import UNSENT, JobState, NodeState, Outcome
from db import attempts, events, folding
from db.bulk import bulk_insert, chunks
from db.engine import one_writer, reading, writing
from db.jobtables import OPEN, attempt, event, job, job_node


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked. `spec` is JSON for the service node, `label` is what people read."""

    request: str
    command: str
    spec: str
    label: str
    who: str
    changing: bool
    paced: bool
    #: node → pool, comma-separated, best first.
    pools: Mapping[str, str]
    #: node → a sentence: nodes that cannot be done at all and end at once.
    hopeless: Mapping[str, tuple[str, str]]
    #: Sentences for the record, with the nodes they are about.
    remarks: Sequence[tuple[str, Sequence[str]]] = ()
    #: node → what is printed when it ends ok and nobody says more.
    texts: Mapping[str, str] = field(default_factory=dict)
    #: Its nodes are in its spec, and get their rows when they end (db/folding.py).
    folded: bool = False


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as people see it; `counts` holds nodes per outcome, "" for those that go on."""

    id: int
    request: str
    command: str
    spec: str
    label: str
    who: str
    created: float
    changing: bool
    size: int
    supervisor: str | None
    state: str
    started: float | None
    ended: float | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The outcome of one node of a job."""

    node: str
    outcome: str
    text: str
    error: str | None
    sn: str | None
    tried: str
    attempt: int | None
    ended: float | None = None


def submit(engine: Engine, asked: NewJob, now: float, *, supersede: bool = False) -> int:
    """Write the job and its nodes; its number. A request that was asked before answers its job's number."""
    with writing(engine) as connection:
        return enter(connection, asked, now, supersede=supersede)


def enter(connection: Connection, asked: NewJob, now: float, *, supersede: bool = False) -> int:
    """The same in a transaction that goes on."""
    if asked.changing:
        one_writer(connection)
    job_id = _insert_job(connection, asked, now)
    if job_id is None:
        return int(connection.scalars(select(job.c.id).where(job.c.request == asked.request)).one())
    if not asked.folded:
        _insert_nodes(connection, job_id, asked, now)
    for message, nodes in asked.remarks:
        events.record(connection, job_id, now, "skip", message, nodes=nodes)
    if supersede:
        _supersede(connection, job_id, now)
    return job_id


def _insert_job(connection: Connection, asked: NewJob, now: float) -> int | None:
    """The new job's number; None when the same request is being asked, or was, by somebody else."""
    dialect_insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    made = dialect_insert(job).values(
        request=asked.request,
        command=asked.command,
        spec=asked.spec,
        label=asked.label,
        who=asked.who,
        created=now,
        changing=asked.changing,
        paced=asked.paced,
        size=len(asked.pools) + len(asked.hopeless),
        epoch=0,
        state=JobState.ACTIVE,
    )
    made = made.on_conflict_do_nothing(index_elements=["request"])
    number: int | None = connection.scalars(made.returning(job.c.id)).one_or_none()
    return number


def _insert_nodes(connection: Connection, job_id: int, asked: NewJob, now: float) -> None:
    waiting = (
        {"node": node, "pool": pool, "text": asked.texts.get(node)} for node, pool in asked.pools.items()
    )
    ended = (
        {"node": node, "outcome": _hopeless(error), "error": error, "text": text}
        for node, (error, text) in asked.hopeless.items()
    )
    shared = {"job_id": job_id, "changing": asked.changing, "binds": 0, "tried": ""}
    bulk_insert(connection, job_node, waiting, shared=shared | {"state": NodeState.WAITING})
    over = {"state": NodeState.DONE, "ended": now, "pool": ""}
    bulk_insert(connection, job_node, ended, shared=shared | over)


def _hopeless(error: str) -> Outcome:
    return Outcome.UNREACHED if error == "ServiceNodeLost" else Outcome.ERROR


def cancel(engine: Engine, job_id: int, who: str, now: float) -> list[str]:
    """End every node of the job for which nothing was sent; the nodes ended."""
    with writing(engine) as connection:
        _lock(connection, [job_id])
        folding.unfold_job(connection, job_id)
        ended = _cancel_nodes(connection, [job_id], job_node.c.job_id == job_id, f"cancelled by {who}", now)
        events.record(connection, job_id, now, "cancel", f"cancelled by {who}", nodes=ended)
        return ended


def _supersede(connection: Connection, job_id: int, now: float) -> None:
    mine = select(job_node.c.node).where(job_node.c.job_id == job_id)
    older = (job_node.c.job_id < job_id, job_node.c.changing.is_(True), job_node.c.outcome.is_(None))
    jobs = connection.scalars(
        select(job_node.c.job_id).distinct().where(*older, job_node.c.node.in_(mine))
    ).all()
    _lock(connection, jobs)
    theirs = job_node.c.node.in_(mine)
    for old in jobs:
        where = (job_node.c.job_id == old) & theirs
        ended = _cancel_nodes(connection, [old], where, f"superseded by job {job_id}", now)
        events.record(connection, old, now, "cancel", f"superseded by job {job_id}", nodes=ended)


def _lock(connection: Connection, jobs: Collection[int]) -> None:
    """Wait for supervisors and service nodes that write to these jobs, in the order in which they lock."""
    ids = sorted(jobs)
    connection.execute(select(job.c.id).where(job.c.id.in_(ids)).order_by(job.c.id).with_for_update())
    attempts.lock(connection, attempt.c.job_id.in_(ids))


def _cancel_nodes(
    connection: Connection, jobs: Sequence[int], where: ColumnElement[bool], text: str, now: float
) -> list[str]:
    """`cancelled` means that nothing was sent; where an earlier attempt sent something it is `unknown`."""
    open_nodes = (job_node.c.job_id.in_(jobs), where, OPEN, job_node.c.state.in_(UNSENT))
    done = {"state": NodeState.DONE, "ended": now}
    ended = connection.scalars(
        update(job_node)
        .where(*open_nodes, job_node.c.issued.is_(None))
        .values(**done, outcome=Outcome.CANCELLED, text=text)
        .returning(job_node.c.node)
    ).all()
    sent = connection.scalars(
        update(job_node)
        .where(*open_nodes, job_node.c.issued.is_not(None))
        .values(
            **done,
            outcome=Outcome.UNKNOWN,
            text="'" + job_node.c.issued + f"' may have been sent without an answer, then {text}",
        )
        .returning(job_node.c.node)
    ).all()
    return sorted([*ended, *sent])


def info(connection: Connection, job_id: int) -> JobInfo | None:
    """One job with its counts."""
    found = listing(connection, job.c.id == job_id, 1)
    return found[0] if found else None


def by_request(connection: Connection, request: str) -> JobInfo | None:
    """The job that a request id asked for."""
    found = listing(connection, job.c.request == request, 1)
    return found[0] if found else None


def recent(connection: Connection, limit: int, *, active: bool = False) -> list[JobInfo]:
    """The newest jobs, newest first."""
    return listing(connection, job.c.state == JobState.ACTIVE if active else None, limit)


def listing(connection: Connection, where: ColumnElement[bool] | None, limit: int) -> list[JobInfo]:
    """Jobs under a condition, newest first, each with its counts."""
    chosen = select(job).order_by(job.c.id.desc()).limit(limit)
    rows = connection.execute(chosen.where(where) if where is not None else chosen).all()
    counts: dict[int, dict[str, int]] = {row.id: {} for row in rows}
    counted = (
        select(job_node.c.job_id, job_node.c.outcome, func.count())
        .where(job_node.c.job_id.in_(list(counts)))
        .group_by(job_node.c.job_id, job_node.c.outcome)
    )
    for job_id, outcome, number in connection.execute(counted):
        counts[job_id][outcome or ""] = number
    for row in rows:
        if not counts[row.id] and row.size:
            counts[row.id][""] = row.size  # folded: no node has a row yet
    names = list(JobInfo.__dataclass_fields__)[:-1]
    found: list[dict[str, Any]] = [{name: getattr(row, name) for name in names} for row in rows]
    return [JobInfo(**values | {"counts": counts[values["id"]]}) for values in found]


def results(connection: Connection, job_id: int, since: float | None = None) -> list[NodeResult]:
    """The final nodes of a job, those written since a time (by the writers' clocks), ordered by node."""
    columns = [job_node.c[name] for name in NodeResult.__dataclass_fields__]
    query = select(*columns).where(job_node.c.job_id == job_id, job_node.c.outcome.is_not(None))
    if since is not None:
        query = query.where(job_node.c.ended >= since)
    return [NodeResult(*row) for row in connection.execute(query.order_by(job_node.c.node))]


def blockers(connection: Connection, job_id: int) -> dict[int, int]:
    """Older jobs that this one waits for, with the number of nodes."""
    older = job_node.alias("older")
    query = (
        select(older.c.job_id, func.count())
        .join(job_node, (job_node.c.node == older.c.node) & (older.c.job_id < job_node.c.job_id))
        .where(job_node.c.job_id == job_id, job_node.c.changing.is_(True), job_node.c.outcome.is_(None))
        .where(older.c.outcome.is_(None), older.c.changing.is_(True))
        .group_by(older.c.job_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def jobs_of_node(connection: Connection, node: str, limit: int) -> list[int]:
    """The newest jobs that a node was part of, newest first."""
    rows = select(job_node.c.job_id).where(job_node.c.node == node).order_by(job_node.c.job_id.desc())
    return list(connection.scalars(rows.limit(limit)))


def node_state(connection: Connection, job_id: int, node: str) -> tuple[str, NodeResult] | None:
    """The state and (so far) result of one node of a job."""
    columns = [job_node.c[name] for name in NodeResult.__dataclass_fields__]
    row = connection.execute(
        select(job_node.c.state, *columns).where(job_node.c.job_id == job_id, job_node.c.node == node)
    ).one_or_none()
    return (row[0], NodeResult(*row[1:])) if row else None


def prune(engine: Engine, before: float) -> int:
    """Forget jobs that ended before this time, with all their rows; how many."""
    with reading(engine) as connection:
        old = select(job.c.id).where(job.c.state == JobState.DONE, job.c.ended < before)
        ids = list(connection.scalars(old.limit(1000)))
    for part in chunks([(i,) for i in ids], 50):
        gone = [row[0] for row in part]
        with writing(engine) as connection:
            for table in (event, attempt, job_node):
                connection.execute(delete(table).where(table.c.job_id.in_(gone)))
            connection.execute(delete(job).where(job.c.id.in_(gone)))
    return len(ids)
