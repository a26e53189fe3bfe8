"""Images on their way to service nodes: who lacks one gets a job of its own, a limited number at a time.

The jobs in the database are what is counted (site.imagefetches), so nothing is to be remembered or given
back when a service node or a supervisor dies. A fetch has a queue of its own on the service node, and no
other work waits for it. Who failed is asked again, less and less often.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import RequestError
from core.site import number
from core.wanted import Kind
from db import jobs, supervision, wanted
from db.engine import Connection, one_writer, reading, writing
from db.jobs import NewJob
from db.lookup import site_values
from routing.liveness import Kind as Alive
from routing.means import Means
from routing.spread import SpreadAsk, new_job
from routing.view import View

log = logging.getLogger(__name__)

LOOK_S = 1.0
#: How soon a service node is asked again, seconds; twice as late after each time, up to the second.
AGAIN_S = 30.0
LATEST_S = 960.0
#: How many service nodes fetch at a time when site.imagefetches is not set.
FETCHES = 4
COMMAND = "images"
WHO = "serval"
#: The queue classes: on a service node a fetch takes long, on the management node files are only read.
QUEUE, MN_QUEUE = "build", "bulk"


@dataclass(slots=True)
class Turn:
    """What one supervisor remembers of a service node that is behind."""

    #: The newest revision and the start of its worker: with another one it begins anew.
    key: tuple[int, str]
    tries: int = 0
    not_before: float = field(default=float("-inf"))


class ImageSpread:
    """What one supervisor does about images that service nodes lack."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._looked = float("-inf")
        self._turns: dict[str, Turn] = {}
        #: Service node → revisions (newest, had) between which nothing is about it.
        self._fine: dict[str, tuple[int, int]] = {}

    def step(self, view: View) -> None:
        """Ask the next ones, as many as may fetch at a time."""
        if view.at - self._looked < LOOK_S:
            return
        self._looked = view.at
        with reading(self._means.engine) as connection:
            newest = wanted.last(connection, Kind.IMAGE)
            behind = self._behind(connection, newest)
            most = self._most(connection) if behind else 0
        busy = {row.label for row in view.jobs if row.command == COMMAND}
        due = []
        for name in sorted(behind, key=self._order):
            turn = self._turns[name]
            if label_of(name) in busy:
                turn.not_before = view.at + min(AGAIN_S * 2 ** max(turn.tries - 1, 0), LATEST_S)
            elif view.at >= turn.not_before:
                due.append(name)
        if due and len(busy) < most:
            self._ask(due, most)

    def _behind(self, connection: Connection, newest: int) -> list[str]:
        """Live service nodes that lack an image, each with its turn."""
        observer, found = self._means.observer, []
        have = wanted.have(connection, Kind.IMAGE) if newest else {}
        for name, lease in observer.leases.items():
            had = have[name].revision if name in have else 0
            if had >= newest or observer.state(name).kind is not Alive.LIVE:
                continue
            if self._fine.get(name) == (newest, had):
                continue
            if not wanted.lacks(connection, Kind.IMAGE, (name, *lease.aliases), had):
                self._fine[name] = (newest, had)
                continue
            found.append(name)
            if name not in self._turns or self._turns[name].key != (newest, lease.boot):
                self._turns[name] = Turn((newest, lease.boot))
        return found

    def _order(self, name: str) -> tuple[bool, int, str]:
        """The management node first, for it serves the others; then who was asked least."""
        return name != self._means.mn, self._turns[name].tries, name

    def _most(self, connection: Connection) -> int:
        try:
            return int(number(site_values(connection), "imagefetches", FETCHES, least=1))
        except RequestError as error:
            log.warning("%s", error.message)
            return FETCHES

    def _ask(self, due: Sequence[str], most: int) -> None:
        """A job for each of these, as long as no more than `most` are open."""
        with writing(self._means.engine) as connection:
            one_writer(connection)
            busy = {row.label for row in supervision.active_jobs(connection) if row.command == COMMAND}
            free = [name for name in due if label_of(name) not in busy]
            for name in free[: max(most - len(busy), 0)]:
                number_ = jobs.enter(connection, self._job(name), self._means.wall())
                log.info("%s lacks images: job %d", name, number_)

    def _job(self, name: str) -> NewJob:
        turn = self._turns[name]
        turn.tries += 1
        turn.not_before = self._means.clock() + AGAIN_S
        newest, boot = turn.key
        ask = SpreadAsk(
            request=f"{COMMAND}-{name}-{newest}-{boot}-{int(self._means.wall() // AGAIN_S)}",
            command=COMMAND,
            label=label_of(name),
            who=WHO,
            kinds=(Kind.IMAGE,),
            pools={name: (name,)},
            changing=False,
            queue=MN_QUEUE if name == self._means.mn else QUEUE,
        )
        return new_job(ask)


def label_of(name: str) -> str:
    """The label of the job that brings a service node its images."""
    return f"{COMMAND} {name}"
