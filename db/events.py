"""The append-only record of what happened to a job: what `serval why` prints."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from core.fold import fold, unfold
from db.jobtables import event


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the record. `nodes` is folded; empty means all nodes of the job."""

    job: int
    at: float
    kind: str
    message: str
    sn: str | None = None
    nodes: str = ""
    attempt: int | None = None


def record(
    connection: Connection,
    job: int,
    at: float,
    kind: str,
    message: str,
    *,
    sn: str | None = None,
    nodes: Iterable[str] = (),
    attempt: int | None = None,
) -> None:
    """Append one event."""
    values = {
        "job_id": job,
        "attempt": attempt,
        "at": at,
        "kind": kind,
        "sn": sn,
        "nodes": fold(nodes),
        "message": message,
    }
    connection.execute(insert(event).values(values))


def of_job(connection: Connection, job: int, node: str | None = None) -> list[Event]:
    """The events of a job in the order written; with `node` only those about it or about the whole job."""
    rows = connection.execute(select(event).where(event.c.job_id == job).order_by(event.c.id)).all()
    found = [Event(r.job_id, r.at, r.kind, r.message, r.sn, r.nodes, r.attempt) for r in rows]
    if node is None:
        return found
    return [line for line in found if not line.nodes or node in unfold(line.nodes)]
