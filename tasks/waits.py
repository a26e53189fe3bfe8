"""`wait_for`: a step that asks again and again until its nodes are in a state. Its progress is in its row.

`on` and `off` are asked of the BMCs by small stat jobs; any other word is compared with nodelist.status, and
a node that is `failed` there is waited for no longer.
Between two looks nothing runs: the row says when the next one is due.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from core.jobresult import Answer, JobResult
from core.nodestatus import FAILED
from core.power import Action
from core.states import JobState, Outcome
from core.stepspec import StepSpec, from_text, poll_request
from db import jobs, steps
from db.engine import Connection, Engine, reading, writing
from db.lookup import effective
from db.steps import Step
from routing.asking import Asked, new_job

POWER_WORDS = ("on", "off")


@dataclass(slots=True)
class Progress:
    """How far a wait has come: `left` nodes, those that are ok with their state, what others said last."""

    left: list[str]
    ok: dict[str, str]
    said: dict[str, str]
    polls: int
    next: float
    since: float
    #: The stat job that is under way.
    poll: str | None = None
    #: Nodes that failed on their way.
    failed: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """The JSON for step.data."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    def heard(self, wanted: str, said: Iterable[tuple[str, str]]) -> None:
        """Take in what nodes are."""
        for node, text in said:
            if text == wanted:
                self.ok[node] = text
            else:
                self.said[node] = text
                if text == FAILED:
                    self.failed.append(node)
        over = {*self.ok, *self.failed}
        self.left = [node for node in self.left if node not in over]


class Waits:
    """Looks at waiting steps. `mn` names the management node, `wall` is the time people read."""

    def __init__(self, engine: Engine, mn: str, ring: Callable[[], None], wall: Callable[[], float]) -> None:
        self._engine, self._mn, self._ring, self._wall = engine, mn, ring, wall

    def look(self, step: Step) -> JobResult | None:
        """Go on with a wait; its result when it is over.

        Raises RequestError when the site's settings are wrong.
        """
        spec, now = from_text(step.arguments), self._wall()
        progress = Progress(**json.loads(step.data or "{}"))
        if progress.poll is None and now < progress.next:
            return None
        if spec.word in POWER_WORDS:
            if progress.poll is None:
                self._ask(step, progress, now)
                return None
            if not self._hear_job(spec.word, progress):
                return None
        else:
            self._hear_status(spec.word, progress)
        if not progress.left or now >= progress.since + spec.options["timeout"]:
            return finished(spec, progress)
        progress.poll, progress.next = None, now + spec.options["interval"]
        with writing(self._engine) as connection:
            steps.note(connection, step, progress.to_text())
        return None

    def _ask(self, step: Step, progress: Progress, now: float) -> None:
        """One small stat job for the nodes that are left."""
        progress.poll = poll_request(step.request, progress.polls)
        progress.polls += 1
        label = f"rpower {len(progress.left)} nodes stat (wait_for)"
        with writing(self._engine) as connection:
            if steps.note(connection, step, progress.to_text()):
                asked = Asked(progress.poll, "rpower", Action.STAT, progress.left, label, step.who)
                jobs.enter(connection, new_job(connection, asked, self._mn), now)
        self._ring()

    def _hear_job(self, wanted: str, progress: Progress) -> bool:
        """Take in the stat job's answers; False while it goes on."""
        with reading(self._engine) as connection:
            info = jobs.by_request(connection, progress.poll or "")
            if info is not None and info.state != JobState.DONE:
                return False
            found = jobs.results(connection, info.id) if info else []
        progress.heard(wanted, [(one.node, one.text) for one in found])
        return True

    def _hear_status(self, wanted: str, progress: Progress) -> None:
        with reading(self._engine) as connection:
            progress.heard(wanted, statuses(connection, progress.left))


def statuses(connection: Connection, nodes: list[str]) -> list[tuple[str, str]]:
    """nodelist.status of each node."""
    values = effective(connection, {"nodelist": ["status"]}, nodes)
    return [(node, values.get(node, {}).get("nodelist.status", "without a status")) for node in nodes]


def finished(spec: StepSpec, progress: Progress) -> JobResult:
    """The result: nodes that failed or are still left are in error, with what they said last."""
    answers = {node: Answer(Outcome.OK, text) for node, text in progress.ok.items()}
    for node in progress.left:
        said = progress.said.get(node, "nothing was heard")
        answers[node] = Answer(Outcome.ERROR, f"not {spec.word} after {spec.options['timeout']:g} s: {said}")
    for node in progress.failed:
        answers[node] = Answer(Outcome.ERROR, f"not {spec.word}: {FAILED}")
    return JobResult(None, spec.command, dict(sorted(answers.items())))


def told(step: Step) -> str:
    """How far a wait has come: `12/100 on`."""
    found: dict[str, Any] = json.loads(step.data or "{}")
    done = len(found.get("ok", {}))
    rest = len(found.get("left", [])) + len(found.get("failed", []))
    return f"{done}/{done + rest} {from_text(step.arguments).word}"
