"""Attempts of jobs that every member of a pool does: what a supervisor and a service node write of them.

Such a job binds no node to an attempt. What a service node has to say lies on its attempt, and the supervisor
ends the nodes when every member has spoken, was given up, or is not there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from core.fold import unfold
from core.states import NodeState, Outcome
from db.bulk import among
from db.jobtables import OPEN, attempt, job, job_node
from db.supervision import FREE, JobRow
from db.wanted import is_sentences

UNREADABLE = "its answer cannot be read"


@dataclass(frozen=True, slots=True)
class Said:
    """What a service node says at the end: node → sentence of what went wrong, and node → what to print."""

    problems: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt of such a job, open or over. `failed` says why the service node did not finish it."""

    id: int
    sn: str
    nodes: frozenset[str]
    over: bool
    failed: str
    said: Said


@dataclass(frozen=True, slots=True)
class Work:
    """An attempt that a service node has claimed."""

    id: int
    job: int
    sn: str
    spec: str
    nodes: tuple[str, ...]


def deliver(
    connection: Connection, row: JobRow, sn: str, queue: str, folded: str, size: int, now: float
) -> int:
    """A new attempt on a service node, for so many nodes; its number."""
    values = {"job_id": row.id, "sn": sn, "queue": queue, "nodes": folded, "size": size}
    made = insert(attempt).values(**values, created=now, beat=0)
    number: int = connection.scalars(made.returning(attempt.c.id)).one()
    return number


def deliveries(connection: Connection, job_id: int) -> list[Delivery]:
    """Every attempt of a job, oldest first."""
    rows = connection.execute(select(attempt).where(attempt.c.job_id == job_id).order_by(attempt.c.id))
    return [_delivery(row) for row in rows]


def _delivery(row: Row[Any]) -> Delivery:
    said = read_said(row.result) if row.result else Said()
    return Delivery(
        id=row.id,
        sn=row.sn,
        nodes=_unfolded(row.nodes),
        over=row.ended is not None,
        failed=row.reason or ("" if said else UNREADABLE),
        said=said or Said(),
    )


def claim(connection: Connection, attempt_id: int, now: float) -> Work | None:
    """Take the attempt; None when it was claimed before or given up."""
    row = connection.execute(
        update(attempt)
        .where(attempt.c.id == attempt_id, attempt.c.claimed.is_(None), attempt.c.ended.is_(None))
        .values(claimed=now, beat=attempt.c.beat + 1)
        .returning(attempt.c.job_id, attempt.c.sn, attempt.c.nodes)
    ).one_or_none()
    if row is None:
        return None
    spec = connection.scalars(select(job.c.spec).where(job.c.id == row.job_id)).one()
    return Work(attempt_id, row.job_id, row.sn, spec, tuple(unfold(row.nodes)))


def finish(connection: Connection, attempt_id: int, said: Said, now: float) -> bool:
    """End the attempt with what was said; False when it was given up before."""
    done = (
        update(attempt)
        .where(attempt.c.id == attempt_id, attempt.c.ended.is_(None))
        .values(ended=now, result=json.dumps(asdict(said)))
    )
    return connection.scalars(done.returning(attempt.c.id)).one_or_none() is not None


def end_ready(
    connection: Connection, job_id: int, nodes: Sequence[str], sn: str, text: str, now: float
) -> None:
    """These nodes (none: all that are left) are ok, with `text` or else the one that the job gave them."""
    left = [job_node.c.job_id == job_id, OPEN, job_node.c.state.in_(FREE)]
    if nodes:
        left.append(among(connection, job_node.c.node, nodes))
    done = {"state": NodeState.DONE, "outcome": Outcome.OK, "sn": sn, "ended": now}
    if text:
        done["text"] = text
    connection.execute(update(job_node).where(*left).values(done))


def read_said(result: str) -> Said | None:
    """What `finish` wrote; None when it is no such thing: a service node's role may put any text there."""
    try:
        told = Said(**json.loads(result))
    except (ValueError, TypeError):
        return None
    return told if is_sentences(told.problems) and is_sentences(told.texts) else None


@lru_cache(maxsize=256)
def _unfolded(text: str) -> frozenset[str]:
    """The nodes of an attempt: a supervisor asks at each of its steps."""
    return frozenset(unfold(text))
