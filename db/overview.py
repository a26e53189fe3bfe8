"""Jobs as Flower shows them: those of one supervisor that go on or ended a moment ago."""

from sqlalchemy import Connection, or_, select

from core.states import JobState
from db.jobs import JobInfo, listing
from db.jobtables import job, job_node

#: More jobs than this at once are not announced one by one.
MOST = 1_000


def current(connection: Connection, supervisor: str, since: float, hidden: str) -> list[JobInfo]:
    """The jobs of `supervisor` that go on or ended after `since`, newest first, with their counts.

    Those whose request begins with `hidden` are left out.
    """
    lately = or_(job.c.state == JobState.ACTIVE, job.c.ended >= since)
    mine = job.c.supervisor == supervisor
    return listing(connection, lately & mine & ~job.c.request.startswith(hidden, autoescape=True), MOST)


def nodes_of(connection: Connection, job_id: int) -> list[str]:
    """The nodes of a job."""
    return list(connection.scalars(select(job_node.c.node).where(job_node.c.job_id == job_id)))
