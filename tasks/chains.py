"""Running chains: what comes next is started, what is over is stored (PROTOCOL 11 and 12).

Everything is in rows, and each row moves once. A result is stored before its step moves on, so a management
node that is killed in between stores it a second time and nothing is forgotten.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from core.errors import RequestError, UnavailableError
from core.jobresult import Answer, JobResult
from core.states import Outcome, StepState
from core.stepspec import WAIT, from_text, refusal
from db import jobs, steps
from db.engine import Connection, Engine, reading, writing
from db.home import Home
from db.steps import Step
from tasks import submission, waits
from tasks.waits import Waits

log = logging.getLogger(__name__)


class Audience(Protocol):
    """Who hears of steps that are no jobs: Flower."""

    def begins(self, request: str, name: str, args: str, about: str) -> None:
        """A task has begun."""

    def goes_on(self, request: str, text: str) -> None:
        """How far a task has come."""

    def ends(self, request: str, result: JobResult, seconds: float) -> None:
        """A task is over."""


Store = Callable[[str, JobResult], None]


class ChainRunner:
    """Takes every open chain one turn further. `store` keeps a result under a Celery task id."""

    def __init__(
        self,
        engine: Engine,
        home: Home,
        store: Store,
        audience: Audience,
        ring: Callable[[], None],
        wall: Callable[[], float],
    ) -> None:
        self._engine, self._home, self._store = engine, home, store
        self._audience, self._ring, self._wall = audience, ring, wall
        self._waits = Waits(engine, home.mn, ring, wall)
        self._shown: set[str] = set()

    def turn(self) -> None:
        """One look at all open steps: one SELECT when there are none.

        Raises UnavailableError when the database does not answer; the next turn reads everything again.
        """
        with reading(self._engine) as connection:
            found = steps.open_steps(connection)
            ended = steps.ended(connection, [one.request for one in found]) if found else {}
        chains: dict[str, list[Step]] = {}
        for one in found:
            chains.setdefault(one.chain, []).append(one)
        for open_steps in chains.values():
            self._take_further_safely(open_steps, ended)

    def _take_further_safely(self, open_steps: Sequence[Step], ended: dict[str, int]) -> None:
        """What goes wrong in one chain holds up no other."""
        try:
            self._take_further(open_steps[0], open_steps[1:], ended)
        except UnavailableError:
            raise
        except Exception:
            log.exception("chain %s", open_steps[0].chain)

    def _take_further(self, step: Step, rest: Sequence[Step], ended: dict[str, int]) -> None:
        """`step` is the first of its chain that is not over."""
        if step.state in (StepState.WAITING, StepState.CANCELLED):
            self._drop([step, *rest], refusal(step.data))
            return
        if step.command == WAIT:
            result = self._wait(step)
        elif step.request in ended:
            with reading(self._engine) as connection:
                result = job_result(connection, ended[step.request], step.command)
        else:
            return
        if result is not None:
            self._end(step, rest, result)

    def _wait(self, step: Step) -> JobResult | None:
        if step.request not in self._shown:
            self._shown.add(step.request)
            self._audience.begins(step.request, WAIT, from_text(step.arguments).word, f"chain={step.chain}")
        self._audience.goes_on(step.request, waits.told(step))
        try:
            result = self._waits.look(step)
        except RequestError as error:
            result = JobResult(None, step.command, note=error.message)
        if result is not None:
            self._shown.discard(step.request)
            self._audience.ends(step.request, result, self._wall() - step.created)
        return result

    def _end(self, step: Step, rest: Sequence[Step], result: JobResult) -> None:
        """Store the result, then in one transaction: this step is over, and the next has begun."""
        self._store(step.request, result)
        nodes, reason = result.ok, f"no node was left ok by {step.command}: {result}"
        if rest and nodes:
            try:
                self._begin(step, rest[0], nodes)
                return
            except RequestError as error:
                reason = error.message
        if rest:
            self._drop(rest, reason)
        with writing(self._engine) as connection:
            steps.move(connection, step.request, StepState.STARTED, StepState.DONE)

    def _begin(self, step: Step, following: Step, nodes: Sequence[str]) -> None:
        with writing(self._engine) as connection:
            if steps.move(connection, step.request, StepState.STARTED, StepState.DONE):
                own = from_text(following.arguments).noderange
                nodes = nodes if own is None else submission.named(connection, own)
                submission.start(connection, following, nodes, self._home, self._wall())
        self._ring()

    def _drop(self, dropped: Sequence[Step], reason: str) -> None:
        """These never run: that is stored as their result, then they are over."""
        for step in dropped:
            result = JobResult(None, step.command, note=reason)
            self._store(step.request, result)
            word = from_text(step.arguments).word if step.arguments else ""
            self._audience.begins(step.request, step.command, word, f"chain={step.chain}")
            self._audience.ends(step.request, result, 0.0)
        with writing(self._engine) as connection:
            steps.drop(connection, [step.request for step in dropped])


def job_result(connection: Connection, job: int, command: str) -> JobResult:
    """What became of a job."""
    found = jobs.results(connection, job)
    answers = {r.node: Answer(Outcome(r.outcome), r.text, r.error, r.sn) for r in found}
    return JobResult(job, command, answers)
