"""How jobs went, for people: attempts, nodes that go on, progress; reads only.

Asking and cancelling is the business of `db/jobs.py`.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from db.jobtables import attempt, job_node


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One delivery of a batch to a service node; `nodes` is folded, times are seconds since 1970."""

    id: int
    job_id: int
    sn: str
    queue: str
    nodes: str
    size: int
    created: float
    claimed: float | None
    released: float | None
    ended: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenNode:
    """A node without an outcome; `sn` has the attempt that holds it, None when nobody does."""

    node: str
    state: str
    sn: str | None
    issued: str | None


def attempts_of(connection: Connection, job_id: int) -> list[AttemptInfo]:
    """The attempts of a job, oldest first."""
    columns = [attempt.c[name] for name in AttemptInfo.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(attempt.c.job_id == job_id).order_by(attempt.c.id))
    return [AttemptInfo(*row) for row in rows]


def open_nodes(connection: Connection, job_id: int) -> list[OpenNode]:
    """The nodes of a job that have no outcome yet, ordered by node."""
    holder = (attempt.c.id == job_node.c.attempt) & attempt.c.ended.is_(None)
    rows = connection.execute(
        select(job_node.c.node, job_node.c.state, attempt.c.sn, job_node.c.issued)
        .join_from(job_node, attempt, holder, isouter=True)
        .where(job_node.c.job_id == job_id, job_node.c.outcome.is_(None))
        .order_by(job_node.c.node)
    )
    return [OpenNode(*row) for row in rows]


def done_by(connection: Connection, job_id: int) -> dict[str, int]:
    """Service node → nodes of the job that ended with it, ordered by name."""
    rows = connection.execute(
        select(job_node.c.sn, func.count())
        .where(job_node.c.job_id == job_id, job_node.c.outcome.is_not(None), job_node.c.sn.is_not(None))
        .group_by(job_node.c.sn)
        .order_by(job_node.c.sn)
    )
    return {row[0]: row[1] for row in rows}


def in_hand(connection: Connection) -> dict[str, int]:
    """Service node → attempts that it has and that have not ended, over all jobs."""
    rows = connection.execute(
        select(attempt.c.sn, func.count()).where(attempt.c.ended.is_(None)).group_by(attempt.c.sn)
    )
    return {row[0]: row[1] for row in rows}


def pool_of(connection: Connection, job_id: int, node: str) -> str:
    """The pool that a node of a job was asked with; empty when it has none."""
    found = connection.scalar(
        select(job_node.c.pool).where(job_node.c.job_id == job_id, job_node.c.node == node)
    )
    return found or ""
