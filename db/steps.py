"""Steps of chains: recording a chain, seeing what is open, and moving one step on, exactly once.

Every move is one conditional UPDATE of the step's row, so that two management nodes that look at the same
chain, or one that was killed and started again, start nothing twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, delete, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.states import OPEN_STEPS, JobState, StepState
from db.engine import writing
from db.jobtables import job
from db.steptables import step


@dataclass(frozen=True, slots=True)
class Step:
    """One row. `arguments` and `data` are JSON."""

    request: str
    chain: str
    position: int
    command: str
    arguments: str
    after: str | None
    state: str
    who: str
    created: float
    data: str | None = None


COLUMNS = [step.c[name] for name in Step.__dataclass_fields__]


def record(connection: Connection, chain: Sequence[Step]) -> bool:
    """Write the steps of a chain; False when its first request is known already, and nothing is written."""
    dialect_insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    first, *rest = [asdict(one) for one in chain]
    made = dialect_insert(step).values(first).on_conflict_do_nothing(index_elements=["request"])
    if connection.scalars(made.returning(step.c.request)).one_or_none() is None:
        return False
    if rest:
        connection.execute(dialect_insert(step).values(rest))
    return True


def open_steps(connection: Connection) -> list[Step]:
    """Every step that waits or runs, chain by chain, in order."""
    query = select(*COLUMNS).where(step.c.state.in_(OPEN_STEPS)).order_by(step.c.chain, step.c.position)
    return [Step(*row) for row in connection.execute(query)]


def find(connection: Connection, request: str) -> Step | None:
    """One step."""
    row = connection.execute(select(*COLUMNS).where(step.c.request == request)).one_or_none()
    return Step(*row) if row else None


def move(connection: Connection, request: str, before: StepState, after: StepState) -> bool:
    """Take a step from one state to the next; False when somebody else did."""
    moved = update(step).where(step.c.request == request, step.c.state == before).values(state=after)
    return connection.scalars(moved.returning(step.c.request)).one_or_none() is not None


def drop(connection: Connection, requests: Collection[str]) -> None:
    """End steps that will never run."""
    waiting = (step.c.request.in_(list(requests)), step.c.state == StepState.WAITING)
    connection.execute(update(step).where(*waiting).values(state=StepState.DROPPED))


def note(connection: Connection, old: Step, data: str) -> bool:
    """Write down how far a wait has come, unless somebody else did."""
    same = step.c.data.is_(None) if old.data is None else step.c.data == old.data
    changed = update(step).where(step.c.request == old.request, step.c.state == old.state, same)
    return connection.scalars(changed.values(data=data).returning(step.c.request)).one_or_none() is not None


def ended(connection: Connection, requests: Collection[str]) -> dict[str, int]:
    """Those of these requests whose job is over, with its number."""
    done = (job.c.request.in_(list(requests)), job.c.state == JobState.DONE)
    return {row.request: row.id for row in connection.execute(select(job.c.request, job.c.id).where(*done))}


def prune(engine: Engine, before: float) -> int:
    """Forget steps that are over and were asked before this time; how many."""
    old = (step.c.state.not_in(OPEN_STEPS), step.c.created < before)
    with writing(engine) as connection:
        return len(connection.scalars(delete(step).where(*old).returning(step.c.request)).all())
