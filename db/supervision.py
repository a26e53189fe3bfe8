"""What a supervisor reads and writes. Each write holds the job's row by its epoch first.

`hold` is an UPDATE of the job's row that only the supervisor in charge can make; it stays locked until the
transaction ends, so an adoption waits for it and an old supervisor's transaction finds no row.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.fold import fold
from core.power import REPEATABLE
from core.states import JobState, NodeState, Outcome
from db import attempts
from db.bulk import bulk_update
from db.jobtables import OPEN, attempt, job, job_node, supervisor

HOLDING = (NodeState.BOUND, NodeState.CLAIMED, NodeState.ISSUED)
FREE = (NodeState.WAITING, NodeState.HOPPED)
#: A spec of core.syncspec that names nodes which have no rows, or had none before they ended.
FOLDED = '%"folded": [[%'


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as its supervisor needs it."""

    id: int
    command: str
    spec: str
    label: str
    changing: bool
    paced: bool
    size: int
    supervisor: str | None
    epoch: int
    ready: float | None
    started: float | None


@dataclass(frozen=True, slots=True)
class FreeNode:
    """A node that nobody works on. `tried` names service nodes that could not do it."""

    job: int
    node: str
    state: str
    pool: str
    tried: str
    binds: int
    issued: str | None
    text: str | None
    error: str | None
    sn: str | None


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that has not ended."""

    id: int
    job: int
    sn: str
    queue: str
    nodes: str
    size: int
    beat: int
    published: float | None
    claimed: float | None
    released: float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """One node that the supervisor ends itself."""

    node: str
    outcome: Outcome
    text: str
    error: str | None = None


def enrol(connection: Connection, name: str, now: float) -> None:
    """Write the supervisor's own beat."""
    dialect_insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    statement = dialect_insert(supervisor).values(name=name, beat=1, started=now)
    grow = {"beat": supervisor.c.beat + 1}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=grow))


def resign(connection: Connection, name: str) -> None:
    """Leave: other supervisors may take this one's jobs at once."""
    connection.execute(delete(supervisor).where(supervisor.c.name == name))


def supervisors(connection: Connection) -> dict[str, int]:
    """Every enrolled supervisor with its beat."""
    return {row.name: row.beat for row in connection.execute(select(supervisor))}


def active_jobs(connection: Connection) -> list[JobRow]:
    """All jobs that still have work, in the order asked."""
    columns = [job.c[name] for name in JobRow.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(job.c.state == JobState.ACTIVE).order_by(job.c.id))
    return [JobRow(*row) for row in rows]


def adopt(connection: Connection, row: JobRow, me: str) -> int | None:
    """Take the job from its supervisor; the new epoch, or None when somebody else was faster."""
    taken = connection.scalars(
        update(job)
        .where(job.c.id == row.id, job.c.epoch == row.epoch, job.c.state == JobState.ACTIVE)
        .values(supervisor=me, epoch=job.c.epoch + 1)
        .returning(job.c.epoch)
    )
    return taken.one_or_none()


def hold(connection: Connection, job_id: int, epoch: int) -> bool:
    """Lock the job's row for this transaction, if this epoch is still in charge of it."""
    mine = connection.scalars(
        update(job)
        .where(job.c.id == job_id, job.c.epoch == epoch, job.c.state == JobState.ACTIVE)
        .values(epoch=epoch)
        .returning(job.c.id)
    )
    return mine.one_or_none() is not None


def stamp(connection: Connection, job_id: int, **times: float) -> None:
    """Write `ready` or `started` of a job, each once."""
    for name, at in times.items():
        connection.execute(update(job).where(job.c.id == job_id, job.c[name].is_(None)).values({name: at}))


def was_claimed(connection: Connection, job_id: int) -> bool:
    """Whether any attempt of the job was ever claimed, so that something of it may have been done."""
    claimed = select(attempt.c.id).where(attempt.c.job_id == job_id, attempt.c.claimed.is_not(None))
    return connection.scalar(claimed.limit(1)) is not None


def free_nodes(connection: Connection, job_ids: Collection[int], states: Sequence[str]) -> list[FreeNode]:
    """The nodes of these jobs in these states, ordered by job and node."""
    if not job_ids:
        return []
    columns = [job_node.c.job_id, *(job_node.c[name] for name in list(FreeNode.__dataclass_fields__)[1:])]
    wanted = [job_node.c.job_id.in_(list(job_ids)), OPEN, job_node.c.state.in_(states)]
    if NodeState.WAITING not in states:
        wanted.append(job_node.c.error.is_not(None))  # every hop has one, and these have an index
    rows = connection.execute(select(*columns).where(*wanted).order_by(job_node.c.job_id, job_node.c.node))
    return [FreeNode(*row) for row in rows]


def open_attempts(connection: Connection) -> list[OpenAttempt]:
    """Every attempt of every job that has not ended, oldest first."""
    columns = [attempt.c.id, attempt.c.job_id, attempt.c.sn, attempt.c.queue, attempt.c.nodes, attempt.c.size]
    columns += [attempt.c.beat, attempt.c.published, attempt.c.claimed, attempt.c.released]
    rows = connection.execute(select(*columns).where(attempt.c.ended.is_(None)).order_by(attempt.c.id))
    return [OpenAttempt(*row) for row in rows]


def blocked(connection: Connection, job_id: int) -> dict[str, int]:
    """Free nodes of this job that an older changing job still holds, with the oldest such job."""
    older = job_node.alias("older")
    rows = connection.execute(
        select(job_node.c.node, func.min(older.c.job_id).label("older"))
        .join(older, and_(older.c.node == job_node.c.node, older.c.job_id < job_node.c.job_id))
        .where(job_node.c.job_id == job_id, OPEN, job_node.c.state.in_(FREE))
        .where(older.c.outcome.is_(None), older.c.changing.is_(True))
        .group_by(job_node.c.node)
    )
    return {row.node: row.older for row in rows}


def bind(
    connection: Connection, row: JobRow, sn: str, queue: str, nodes: Iterable[tuple[str, str]], now: float
) -> tuple[int, list[str], str]:
    """A new attempt for those of `nodes` (name, tried so far) that are still free.

    Returns its id, these nodes and the same folded.

    An attempt that bound nothing is ended at once. The credentials follow by `equip`.
    """
    made = insert(attempt).values(job_id=row.id, sn=sn, queue=queue, nodes="", size=0, created=now, beat=0)
    attempt_id: int = connection.scalars(made.returning(attempt.c.id)).one()
    rows = [(row.id, name, NodeState.BOUND, attempt_id, tried) for name, tried in nodes]
    columns = ("state", "attempt", "tried")
    free = job_node.c.state.in_(FREE)
    more = {"binds": job_node.c.binds + 1}
    taken = bulk_update(connection, job_node, ("job_id", "node"), columns, rows, free, ("node",), more)
    bound = sorted(found.node for found in taken)
    folded = fold(bound)
    ended = {} if bound else {"ended": now, "reason": "nothing left to do"}
    connection.execute(
        update(attempt).where(attempt.c.id == attempt_id).values(nodes=folded, size=len(bound), **ended)
    )
    return attempt_id, bound, folded


def equip(connection: Connection, attempt_id: int, sealed: str) -> None:
    """Give a new attempt its sealed credentials."""
    connection.execute(update(attempt).where(attempt.c.id == attempt_id).values(sealed=sealed))


def published(connection: Connection, attempt_ids: Collection[int], now: float) -> None:
    """Note that these attempts were handed to the broker."""
    wanted = attempt.c.id.in_(sorted(attempt_ids))
    attempts.lock(connection, wanted)
    connection.execute(update(attempt).where(wanted, attempt.c.ended.is_(None)).values(published=now))


def fence(
    connection: Connection, held: OpenAttempt, text: str, now: float
) -> tuple[list[str], list[str]] | None:
    """End the attempt if its beat is still the one that was judged; None when it lives after all.

    Returns the nodes that became unknown (something that must not be repeated may have left) and those
    that go to the next service node.
    """
    gone = connection.scalars(
        update(attempt)
        .where(attempt.c.id == held.id, attempt.c.ended.is_(None), attempt.c.beat == held.beat)
        .values(ended=now, reason=text, sealed=None)
        .returning(attempt.c.id)
    ).one_or_none()
    if gone is None:
        return None
    unknown = connection.scalars(
        update(job_node)
        .where(job_node.c.attempt == held.id, OPEN, job_node.c.state == NodeState.ISSUED)
        .where(job_node.c.issued.not_in(sorted(REPEATABLE)))
        .values(
            state=NodeState.DONE,
            outcome=Outcome.UNKNOWN,
            text="'" + job_node.c.issued + f"' may have been sent, then {text}",
            error="ServiceNodeLost",
            sn=held.sn,
            ended=now,
        )
        .returning(job_node.c.node)
    ).all()
    free = connection.scalars(
        update(job_node)
        .where(job_node.c.attempt == held.id, OPEN, job_node.c.state.in_(HOLDING))
        .values(state=NodeState.HOPPED, text=text, error="ServiceNodeLost", sn=held.sn)
        .returning(job_node.c.node)
    ).all()
    return sorted(unknown), sorted(free)


def end_nodes(
    connection: Connection, job_id: int, endings: Sequence[Ending], sn: str, now: float
) -> list[str]:
    """Give free nodes their outcome; the nodes that were really ended."""
    rows = [(job_id, e.node, NodeState.DONE, e.outcome, e.text, e.error, sn, now) for e in endings]
    columns = ("state", "outcome", "text", "error", "sn", "ended")
    free = job_node.c.state.in_(FREE)
    taken = bulk_update(connection, job_node, ("job_id", "node"), columns, rows, free, ("node",))
    return sorted(row.node for row in taken)


def workless(connection: Connection) -> set[int]:
    """Active jobs whose nodes are all final; one that is folded (db/folding.py) has no rows at all yet."""
    of_job = select(job_node.c.node).where(job_node.c.job_id == job.c.id)
    there = or_(job.c.spec.not_like(FOLDED), exists(of_job))
    over = select(job.c.id).where(job.c.state == JobState.ACTIVE, ~exists(of_job.where(OPEN)), there)
    return set(connection.scalars(over))


def end_job(connection: Connection, job_id: int, now: float) -> bool:
    """End a job that is held and has no node without an outcome."""
    if job_id not in workless(connection):
        return False
    connection.execute(update(job).where(job.c.id == job_id).values(state=JobState.DONE, ended=now))
    attempts.lock(connection, attempt.c.job_id == job_id)
    connection.execute(
        update(attempt)
        .where(attempt.c.job_id == job_id, attempt.c.ended.is_(None))
        .values(ended=now, sealed=None, reason="the job is over")
    )
    return True
