"""Steps of chains: recording a chain, seeing what is open, and moving one step on, exactly once.

Every move is one conditional UPDATE of the step's row, so that two management nodes that look at the same
chain, or one that was killed and started again, start nothing twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, and_, delete, or_, select, update
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
    never = (StepState.WAITING, StepState.CANCELLED)
    waiting = (step.c.request.in_(list(requests)), step.c.state.in_(never))
    connection.execute(update(step).where(*waiting).values(state=StepState.DROPPED))


def chain_of(connection: Connection, request: str) -> str | None:
    """The chain that this request is a step of."""
    return connection.scalar(select(step.c.chain).where(step.c.request == request))


def waiting_after(connection: Connection, request: str) -> list[str]:
    """The commands of the steps that wait in the chain of this request, in order."""
    chain = select(step.c.chain).where(step.c.request == request).scalar_subquery()
    waiting = select(step.c.command).where(step.c.chain == chain, step.c.state == StepState.WAITING)
    return list(connection.scalars(waiting.order_by(step.c.position)))


def cancel(connection: Connection, chain: str, waits: str, why: str) -> list[str]:
    """End what of a chain has not begun; the commands of these steps, in order.

    Of steps that have begun those of the command `waits` are ended too. A step that is a job stays: it ends
    with its job. `why` is JSON for `data`.
    """
    is_wait = and_(step.c.state == StepState.STARTED, step.c.command == waits)
    ended = update(step).where(step.c.chain == chain, or_(step.c.state == StepState.WAITING, is_wait))
    ended = ended.values(state=StepState.CANCELLED, data=why)
    rows = connection.execute(ended.returning(step.c.position, step.c.command)).all()
    return [row.command for row in sorted(rows)]


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
