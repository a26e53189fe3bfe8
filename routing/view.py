"""What one step of a supervisor reads from the database: one snapshot, and the moment after it."""

from collections.abc import Collection
from dataclasses import dataclass

from core.states import NodeState
from db import drains, supervision
from db.engine import reading
from db.supervision import FreeNode, JobRow, OpenAttempt
from routing.means import Means, Parcel


@dataclass(slots=True)
class View:
    """One look; `at` is taken after the read, so that nobody is given up too soon."""

    at: float
    jobs: list[JobRow]
    supervisors: dict[str, int]
    attempts: list[OpenAttempt]
    hopped: list[FreeNode]
    workless: set[int]
    drained: dict[str, str]

    def add(self, parcel: Parcel) -> None:
        """An attempt that was bound since: it takes room in its queue."""
        self.attempts.append(
            OpenAttempt(
                id=parcel.attempt,
                job=parcel.job,
                sn=parcel.sn,
                queue=parcel.queue,
                nodes=parcel.nodes,
                size=0,
                beat=0,
                published=None,
                claimed=None,
                released=None,
            )
        )


def look(means: Means, jobs: Collection[int]) -> View:
    """Read all active jobs and open attempts, and the hopped nodes of these jobs."""
    with reading(means.engine) as connection:
        active = supervision.active_jobs(connection)
        peers = supervision.supervisors(connection)
        attempts = supervision.open_attempts(connection)
        hopped = supervision.free_nodes(connection, jobs, [NodeState.HOPPED])
        workless = supervision.workless(connection)
        drained = drains.drained(connection)
    return View(means.clock(), active, peers, attempts, hopped, workless, drained)
