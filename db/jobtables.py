"""Serval's own rows: jobs, their nodes, attempts and events (the dispatch protocol, docs/architecture.md).

Times are seconds since 1970 UTC by the writer's clock; they are for people. No rule compares them across
hosts: liveness is judged by counters on the reader's own clock.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
    true,
)

from db.base import metadata

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True, doc="Number of the job, in the order asked."),
    Column("request", Text, nullable=False, doc="Unique id of the request: asked twice, it is one job."),
    Column("command", Text, nullable=False, doc="The command's name: rpower, rsetboot."),
    Column("spec", Text, nullable=False, doc="JSON: what the driver is asked to do."),
    Column("label", Text, nullable=False, doc="What people read: `rpower compute on`."),
    Column("who", Text, nullable=False, doc="Who asked."),
    Column("created", Float, nullable=False, doc="When it was asked."),
    Column("changing", Boolean, nullable=False, doc="Whether it can change a node."),
    Column("paced", Boolean, nullable=False, doc="Whether syspowerinterval applies to it."),
    Column("size", Integer, nullable=False, doc="How many nodes."),
    Column("supervisor", Text, doc="The supervisor that steps it."),
    Column(
        "epoch", Integer, nullable=False, default=0, doc="Grows at each adoption; fences old supervisors."
    ),
    Column("state", Text, nullable=False, doc="active or done."),
    Column("ready", Float, doc="When a node of it could first have started."),
    Column("started", Float, doc="When a service node first claimed nodes of it."),
    Column("ended", Float, doc="When its last node got its outcome."),
    UniqueConstraint("request"),
    sqlite_autoincrement=True,
)

job_node = Table(
    "job_node",
    metadata,
    Column("job_id", Integer, nullable=False, doc="The job."),
    Column("node", Text, nullable=False, doc="The node."),
    Column("changing", Boolean, nullable=False, doc="Copy of job.changing, for the tickets."),
    Column("state", Text, nullable=False, doc="core.states.NodeState."),
    Column(
        "pool", Text, nullable=False, doc="Service nodes that may act for it, best first, comma-separated."
    ),
    Column("attempt", Integer, doc="The attempt that holds it: the fence."),
    Column("binds", Integer, nullable=False, default=0, doc="How many attempts it was given to."),
    Column(
        "tried",
        Text,
        nullable=False,
        default="",
        doc="JSON: service nodes that were tried, each with its reason.",
    ),
    Column("issued", Text, doc="The state-changing command that may have left; NULL when none did."),
    Column("outcome", Text, doc="core.states.Outcome; NULL until it is final."),
    Column("text", Text, doc="The value printed, or the sentence of the error or of the last hop."),
    Column("error", Text, doc="Class name of the error."),
    Column("sn", Text, doc="The service node that answered last."),
    Column("ended", Float, doc="When the outcome was written."),
    PrimaryKeyConstraint("job_id", "node"),
    postgresql_with={"fillfactor": 50},
)

# No index holds `state` or `issued`, not even in its condition: so PostgreSQL changes a row that is claimed
# or marked where it lies (a heap-only tuple), and touches no index for it.
#: A node that goes on; said in a query it finds the indexes of such rows.
OPEN = job_node.c.outcome.is_(None)


def _partial(name: str, *columns: Column[Any], where: ColumnElement[bool]) -> None:
    """An index of some rows only."""
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


#: Tickets: who comes first for a node.
_partial(
    "ix_job_node_ticket",
    job_node.c.node,
    job_node.c.job_id,
    where=and_(OPEN, job_node.c.changing.is_(true())),
)
_partial("ix_job_node_attempt", job_node.c.attempt, where=and_(OPEN, job_node.c.attempt.is_not(None)))
_partial("ix_job_node_open", job_node.c.job_id, where=OPEN)
_partial("ix_job_node_hopped", job_node.c.job_id, where=and_(OPEN, job_node.c.error.is_not(None)))
_partial("ix_job_node_ended", job_node.c.job_id, job_node.c.ended, where=job_node.c.ended.is_not(None))
#: `serval why NODE` and retry look a node up across jobs.
Index("ix_job_node_node", job_node.c.node, job_node.c.job_id)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True, doc="Number of the attempt: the fence."),
    Column("job_id", Integer, nullable=False, doc="The job."),
    Column("sn", Text, nullable=False, doc="The service node."),
    Column("queue", Text, nullable=False, doc="The queue it was published to."),
    Column("nodes", Text, nullable=False, doc="Its nodes, folded."),
    Column("size", Integer, nullable=False, doc="How many nodes."),
    Column("sealed", Text, doc="Addresses and credentials, sealed for that service node; gone at the end."),
    Column("created", Float, nullable=False, doc="When it was planned."),
    Column("published", Float, doc="When it was last published; NULL before."),
    Column("claimed", Float, doc="When the service node claimed it."),
    Column("beat", Integer, nullable=False, default=0, doc="Grows while the process that sends is alive."),
    Column("released", Float, doc="When only silent BMCs were left; it holds no place in the queue since."),
    Column("ended", Float, doc="When it was over: all reported, or fenced."),
    Column("reason", Text, doc="Why it was fenced; NULL when it ended by itself."),
    Column(
        "result", Text, doc="JSON: what the service node says of its nodes, in jobs that every member does."
    ),
    sqlite_autoincrement=True,
)
Index(
    "ix_attempt_open",
    attempt.c.job_id,
    sqlite_where=attempt.c.ended.is_(None),
    postgresql_where=attempt.c.ended.is_(None),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True, doc="In the order of writing."),
    Column("job_id", Integer, nullable=False, index=True, doc="The job."),
    Column("attempt", Integer, doc="The attempt, where there is one."),
    Column("at", Float, nullable=False, doc="When it was written."),
    Column("kind", Text, nullable=False, doc="One word: hop, fence, skip, cancel, late, adopt …"),
    Column("sn", Text, doc="The service node it is about."),
    Column("nodes", Text, nullable=False, doc="The nodes it is about, folded; empty: all of the job."),
    Column("message", Text, nullable=False, doc="The sentence."),
    sqlite_autoincrement=True,
)

supervisor = Table(
    "supervisor",
    metadata,
    Column("name", Text, primary_key=True, doc="Unique for each run of an MN worker."),
    Column("beat", Integer, nullable=False, doc="Grows while it lives."),
    Column("started", Float, nullable=False, doc="When it started."),
)

member = Table(
    "member",
    metadata,
    Column("name", Text, primary_key=True, doc="A management or service node that has joined."),
    Column("public", Text, nullable=False, doc="Its public key: what is sealed for it only it can open."),
    Column("joined", Float, nullable=False, doc="When it joined."),
    Column("certificate", Text, doc="PEM: by this its command server, or its commands, are known."),
)

drain = Table(
    "drain",
    metadata,
    Column("name", Text, primary_key=True, doc="A member that gets no new work: serval sn drain."),
    Column("drained", Float, nullable=False, doc="Since when."),
    Column("who", Text, nullable=False, doc="Who asked for it."),
    Column("reason", Text, nullable=False, default="", doc="Why, in his words."),
)

pacing = Table(
    "pacing",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, doc="Always 1."),
    Column("opened", Float, nullable=False, doc="When the present interval began."),
    Column("spent", Integer, nullable=False, doc="Nodes powered in it."),
)
