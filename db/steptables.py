"""The row of a step: one job, or one wait, of a chain that a Python program asked for (docs/architecture.md).

A chain is rows before anything of it runs, so that neither an emptied Redis nor a killed management node
forgets what comes next.
"""

from sqlalchemy import Column, Float, Index, Integer, Table, Text

from db.base import metadata

step = Table(
    "step",
    metadata,
    Column("request", Text, primary_key=True, doc="Celery task id; also the request id of its job."),
    Column("chain", Text, nullable=False, doc="Request of the chain's first step."),
    Column("position", Integer, nullable=False, doc="Place in the chain, from 0."),
    Column("command", Text, nullable=False, doc="rpower, rsetboot or wait_for."),
    Column("arguments", Text, nullable=False, doc="JSON: core.stepspec.StepSpec."),
    Column("after", Text, doc="Request of the step before; NULL for the first."),
    Column("state", Text, nullable=False, doc="core.states.StepState."),
    Column("who", Text, nullable=False, doc="Who asked."),
    Column("created", Float, nullable=False, doc="When it was asked."),
    Column("data", Text, doc="JSON: how far a wait has come, or why a step was refused."),
)
Index("ix_step_state", step.c.state)
Index("ix_step_chain", step.c.chain, step.c.position)
