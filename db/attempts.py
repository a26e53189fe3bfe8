"""What a service node writes about an attempt: claim, beat, `issued`, outcomes. Every write can be fenced.

Each transaction begins with the attempt's own beat, `UPDATE attempt … WHERE ended IS NULL`: it renews the
authority, and where it finds no row the management node has fenced the attempt and nothing else is written.
The rows of job_node are then changed by their own condition on `attempt` and `state`; only rows that
RETURNING gives back count.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select, update

from core import jobspec
from core.errors import RequestError
from core.nodestatus import clock
from core.power import STATUS_AFTER
from core.states import NodeState, Outcome
from db import events
from db.bulk import bulk_update
from db.jobtables import OPEN, attempt, job, job_node
from db.tables import nodelist

KEYS = ("job_id", "node")
HELD = (NodeState.CLAIMED, NodeState.ISSUED)
#: An answer may be written while the attempt is released: so much of the time before is told twice.
OVERLAP_S = 1.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is ours now."""

    id: int
    job: int
    sn: str
    sealed: str
    spec: str
    nodes: frozenset[str]
    #: node → what an earlier attempt marked as issued and nobody answered.
    marked: Mapping[str, str] = field(default_factory=dict)

    @property
    def tells_status(self) -> bool:
        """Whether nodelist.status follows what is done."""
        try:
            return jobspec.from_text(self.spec).status
        except RequestError:
            return False


@dataclass(frozen=True, slots=True)
class Final:
    """One node's outcome as a service node reports it."""

    node: str
    outcome: Outcome
    text: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One node that this service node could not reach. `sent` is false when this attempt sent it nothing."""

    node: str
    text: str
    error: str
    sent: bool = True


@dataclass(slots=True)
class Report:
    """What a service node has to say about one attempt in one transaction."""

    finals: list[Final] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    #: Nodes that want to be marked issued, with the command that would leave.
    requests: dict[str, str] = field(default_factory=dict)
    #: Whether no node of the attempt is without an answer after it.
    last: bool = False

    def __bool__(self) -> bool:
        return bool(self.finals or self.hops or self.requests)


@dataclass(frozen=True, slots=True)
class Written:
    """What the database took of a report. `alive` is false when the attempt was fenced."""

    alive: bool
    issued: frozenset[str] = frozenset()


def lock(connection: Connection, *where: ColumnElement[bool]) -> list[int]:
    """Lock open attempts in the order of their numbers, as everybody must; answers these numbers.

    On SQLite a transaction that writes holds the whole database already.
    """
    wanted = select(attempt.c.id).where(attempt.c.ended.is_(None), *where)
    return list(connection.scalars(wanted.order_by(attempt.c.id).with_for_update()))


def claim(connection: Connection, attempt_id: int, now: float) -> Claimed | None:
    """Take the attempt; None when it was claimed before, fenced, or all its nodes were cancelled."""
    row = connection.execute(
        update(attempt)
        .where(attempt.c.id == attempt_id, attempt.c.claimed.is_(None), attempt.c.ended.is_(None))
        .values(claimed=now, beat=attempt.c.beat + 1)
        .returning(attempt.c.job_id, attempt.c.sn, attempt.c.sealed)
    ).one_or_none()
    if row is None:
        return None
    nodes = connection.execute(
        update(job_node)
        .where(job_node.c.attempt == attempt_id, OPEN, job_node.c.state == NodeState.BOUND)
        .values(state=NodeState.CLAIMED)
        .returning(job_node.c.node, job_node.c.issued)
    ).all()
    if not nodes:
        finish(connection, attempt_id, now)
        return None
    spec = connection.scalars(select(job.c.spec).where(job.c.id == row.job_id)).one()
    names = frozenset(found.node for found in nodes)
    marked = {found.node: found.issued for found in nodes if found.issued}
    return Claimed(attempt_id, row.job_id, row.sn, row.sealed or "", spec, names, marked)


def beat(connection: Connection, attempts: Collection[int]) -> set[int]:
    """Renew these attempts; those missing from the answer were fenced or have ended."""
    wanted = attempt.c.id.in_(sorted(attempts))
    if len(attempts) > 1:
        lock(connection, wanted)
    renewed = connection.scalars(
        update(attempt)
        .where(wanted, attempt.c.ended.is_(None))
        .values(beat=attempt.c.beat + 1)
        .returning(attempt.c.id)
    )
    return set(renewed)


def write(connection: Connection, held: Claimed, report: Report, now: float) -> Written:
    """Write a report: outcomes and hops, then the `issued` marks; what came too late becomes an event."""
    if held.id not in beat(connection, [held.id]):
        _late(connection, held, report.finals, now, "its attempt was given up")
        _unsent(connection, held, report.hops, now)
        return Written(alive=False)
    _write_finals(connection, held, report.finals, now)
    _write_hops(connection, held, report.hops)
    if report.last:
        tell_status(connection, held, now)
    return Written(alive=True, issued=_mark_issued(connection, held, report.requests))


def _write_finals(connection: Connection, held: Claimed, finals: Sequence[Final], now: float) -> None:
    rows = [
        (held.job, f.node, NodeState.DONE, f.outcome, f.text, f.error or None, held.sn, now) for f in finals
    ]
    columns = ("state", "outcome", "text", "error", "sn", "ended")
    mine = and_(job_node.c.attempt == held.id, job_node.c.state.in_(HELD))
    taken = bulk_update(connection, job_node, KEYS, columns, rows, mine, ("node",)) if rows else []
    if len(taken) < len(rows):
        written = {row.node for row in taken}
        late = [final for final in finals if final.node not in written]
        _late(connection, held, late, now, "the node was no longer this attempt's")


def _write_hops(connection: Connection, held: Claimed, hops: Sequence[Hop]) -> None:
    mine = and_(job_node.c.attempt == held.id, job_node.c.state.in_(HELD))
    columns = ("state", "text", "error", "sn")
    rows = [(held.job, hop.node, NodeState.HOPPED, hop.text, hop.error, held.sn) for hop in hops]
    if rows:
        bulk_update(connection, job_node, KEYS, columns, rows, mine)
    # Where this attempt sent nothing the mark becomes again what it was before it.
    unsent = [(held.job, hop.node, held.marked.get(hop.node)) for hop in hops if not hop.sent]
    if unsent:
        hopped = and_(job_node.c.attempt == held.id, job_node.c.state == NodeState.HOPPED)
        bulk_update(connection, job_node, KEYS, ("issued",), unsent, hopped)


def _mark_issued(connection: Connection, held: Claimed, requests: Mapping[str, str]) -> frozenset[str]:
    rows = [(held.job, node, NodeState.ISSUED, sends) for node, sends in requests.items()]
    if not rows:
        return frozenset()
    mine = and_(job_node.c.attempt == held.id, job_node.c.state == NodeState.CLAIMED)
    taken = bulk_update(connection, job_node, KEYS, ("state", "issued"), rows, mine, ("node",))
    return frozenset(row.node for row in taken)


def _late(connection: Connection, held: Claimed, finals: Sequence[Final], now: float, why: str) -> None:
    """A late answer changes no outcome; it becomes an event that `serval why` shows."""
    by_answer: dict[str, list[str]] = {}
    for final in finals:
        by_answer.setdefault(f"{final.outcome}: {final.text}", []).append(final.node)
    for answer, nodes in by_answer.items():
        message = f"late answer from {held.sn} ({answer}); {why}"
        events.record(connection, held.job, now, "late", message, sn=held.sn, nodes=nodes, attempt=held.id)


def _unsent(connection: Connection, held: Claimed, hops: Sequence[Hop], now: float) -> None:
    """Nodes of a given up attempt to which nothing was sent: they may be `unknown` all the same."""
    by_text: dict[str, list[str]] = {}
    for hop in hops:
        if not hop.sent:
            by_text.setdefault(hop.text, []).append(hop.node)
    for text, nodes in by_text.items():
        message = f"late word from {held.sn}: nothing was sent ({text})"
        events.record(connection, held.job, now, "late", message, sn=held.sn, nodes=nodes, attempt=held.id)


def tell_status(connection: Connection, held: Claimed, now: float) -> None:
    """What was sent and accepted becomes nodelist.status, of all nodes since the attempt was released.

    Once when only silent BMCs are left, and once with the last answers: a statement for each report would
    cost a tenth of a job. It is there before the job is over, so who waits for `booted` sees no old one.
    """
    if not held.tells_status or not lock(connection, attempt.c.id == held.id):
        return
    released = select(attempt.c.released).where(attempt.c.id == held.id).scalar_subquery()
    status = case(STATUS_AFTER, value=job_node.c.issued)
    connection.execute(
        update(nodelist)
        .where(nodelist.c.node == job_node.c.node, job_node.c.attempt == held.id)
        .where(job_node.c.outcome == Outcome.OK, job_node.c.issued.in_(STATUS_AFTER))
        .where(job_node.c.ended > func.coalesce(released - OVERLAP_S, 0.0))
        .values(status=status, statustime=clock(now))
    )


def release(connection: Connection, attempt_id: int, now: float) -> None:
    """Only silent BMCs are left: the attempt gives its place in the queue to the next one."""
    connection.execute(
        update(attempt)
        .where(attempt.c.id == attempt_id, attempt.c.ended.is_(None), attempt.c.released.is_(None))
        .values(released=now)
    )


def finish(connection: Connection, attempt_id: int, now: float) -> bool:
    """End the attempt and forget its credentials, if it still lives and holds no node any more."""
    holding = (NodeState.BOUND, *HELD)
    mine = (job_node.c.attempt == attempt_id, OPEN)
    left = select(job_node.c.node).where(*mine, job_node.c.state.in_(holding))
    if connection.scalar(select(exists(left))):
        return False
    ended = connection.scalars(
        update(attempt)
        .where(attempt.c.id == attempt_id, attempt.c.ended.is_(None))
        .values(ended=now, sealed=None)
        .returning(attempt.c.id)
    )
    return ended.first() is not None
