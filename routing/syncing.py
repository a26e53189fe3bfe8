"""The service node's side of a job that every member does: claim, do, say how it went (DESIGN section 6).

There is no authority to lose here: what is done follows from the database at the moment it is done, so doing
it late or twice does no harm. The beat only tells the management node that somebody works on it.
"""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core import syncspec
from core.errors import RequestError, ServalError, UnavailableError
from core.syncspec import Mode
from core.wanted import Inspected, Keeper
from db import attempts, deliveries, wanted
from db.deliveries import Said, Work
from db.engine import Engine, reading, writing
from db.home import Home
from db.lookup import site_values
from db.wanted import Kept
from drivers.resolve import host_names

log = logging.getLogger(__name__)

BEAT_S = 0.5
#: How long the end of an attempt is offered to a database that does not answer, and how often.
PATIENCE_S = 60.0
AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What a hand is asked to do on this host, for these nodes."""

    home: Home
    engine: Engine
    nodes: Sequence[str]
    mode: Mode
    job: int = 0
    attempt: int = 0
    #: SyncSpec.details.
    details: Mapping[str, str] = field(default_factory=dict)
    #: Whether the attempt was given up or cancelled, so that a long work should end.
    given_up: Callable[[], bool] = lambda: False


#: Does one kind of work on this host. Raises ServalError when nothing of it could be done.
Hand = Callable[[Order], Said]
#: Opens the keeper of one kind, from the site table.
OpenKeeper = Callable[[Home, Mapping[str, str]], Keeper]


class Syncer:
    """Does such attempts with the `hands` for each kind of work."""

    def __init__(
        self,
        home: Home,
        engine: Engine,
        hands: Mapping[str, Hand],
        wake: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._home = home
        self._engine = engine
        self._hands = hands
        self._wake = wake
        self._wall = wall

    def work(self, attempt_id: int) -> str:
        """Do the attempt; returns one line for people."""
        with writing(self._engine) as connection:
            work = deliveries.claim(connection, attempt_id, self._wall())
        if work is None:
            return "dropped: claimed before, given away or cancelled"
        with self._beating(attempt_id) as given_up:
            said = self._do(work, given_up.is_set)
        self._finish(work, said)
        self._wake()
        return f"{len(work.nodes) - len(said.problems)} of {len(work.nodes)} ready"

    def _do(self, work: Work, given_up: Callable[[], bool]) -> Said:
        """Every kind of the job in its order; what fails does not keep the others from being done."""
        problems: dict[str, str] = {}
        texts: dict[str, str] = {}
        try:
            spec = syncspec.from_text(work.spec)
        except RequestError as error:
            return Said(dict.fromkeys(work.nodes, error.message))
        if spec is None:
            return Said()
        order = Order(
            self._home, self._engine, work.nodes, spec.mode, work.job, work.id, spec.details, given_up
        )
        for kind in spec.kinds:
            said = self._one(kind, order)
            for node, sentence in said.problems.items():
                problems.setdefault(node, sentence)
            texts |= said.texts
        mine = set(work.nodes)
        return Said(
            {n: p for n, p in problems.items() if n in mine}, {n: t for n, t in texts.items() if n in mine}
        )

    def _one(self, kind: str, order: Order) -> Said:
        hand = self._hands.get(kind)
        if hand is None:
            return Said(dict.fromkeys(order.nodes, f"this release of Serval cannot do '{kind}'; upgrade it"))
        try:
            return hand(order)
        except ServalError as error:
            log.warning("%s: %s", kind, error.message)
            return Said(dict.fromkeys(order.nodes, error.message))
        except Exception as error:
            log.exception("%s", kind)
            text = f"{kind}: {type(error).__name__}; the service node's log has more"
            return Said(dict.fromkeys(order.nodes, text))

    def _finish(self, work: Work, said: Said) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with writing(self._engine) as connection:
                    if not deliveries.finish(connection, work.id, said, self._wall()):
                        log.warning("attempt %d was given up before it ended", work.id)
                return
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("attempt %d: %s", work.id, error.message)
                time.sleep(AGAIN_S)

    @contextmanager
    def _beating(self, attempt_id: int) -> Iterator[threading.Event]:
        """Renew the attempt meanwhile; the event is set when it was given up."""
        stop, given_up = threading.Event(), threading.Event()
        given = (attempt_id, stop, given_up)
        thread = threading.Thread(target=self._beat, args=given, name="beat", daemon=True)
        thread.start()
        try:
            yield given_up
        finally:
            stop.set()
            thread.join()

    def _beat(self, attempt_id: int, stop: threading.Event, given_up: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            try:
                with writing(self._engine) as connection:
                    alive = attempts.beat(connection, [attempt_id])
                if not alive:
                    given_up.set()
            except ServalError as error:
                log.warning("no beat: %s", error.message)


def keeping(kind: str, open_keeper: OpenKeeper) -> Hand:
    """The hand that keeps documents of one kind: reads what changed and lets the keeper make it so."""

    def hand(order: Order) -> Said:
        with alone(order.home, kind):
            with reading(order.engine) as connection:
                keeper = open_keeper(order.home, site_values(connection))
                if order.mode is Mode.INSPECT:
                    return look(keeper, wanted.documents(connection, kind, order.nodes))
                newest, had = wanted.last(connection, kind), keeper.revision()
                again = keeper.behind(order.nodes)
                changes = wanted.changes(connection, kind, own_names(order.home), had, again)
            problems = keeper.apply(changes, newest) if changes or had != newest else {}
            note(order, kind, Kept(newest, problems))
        return Said(problems)

    return hand


def look(keeper: Keeper, documents: Mapping[str, str]) -> Said:
    """What is not as it should be, and the checksums of what is there."""
    if not isinstance(keeper, Inspected):
        return Said()
    return Said(keeper.drift(documents), keeper.digest(list(documents)))


def note(order: Order, kind: str, had: Kept) -> None:
    """Tell the database what this host has."""
    with writing(order.engine) as connection:
        wanted.keep(connection, kind, order.home.name, time.time(), had)


def announce(home: Home, engine: Engine, keepers: Mapping[str, OpenKeeper]) -> None:
    """At the start of a worker: say which revisions its files are at, so that it gets what it lacks."""
    with reading(engine) as connection:
        site = site_values(connection)
        have = {kind: wanted.have(connection, kind).get(home.name) for kind in keepers}
    for kind, open_keeper in keepers.items():
        revision, told = open_keeper(home, site).revision(), have[kind]
        if (told.revision if told else 0) != revision:
            with writing(engine) as connection:
                wanted.keep(connection, kind, home.name, time.time(), Kept(revision))


@contextmanager
def alone(home: Home, kind: str) -> Iterator[None]:
    """One at a time on this host, for each kind of work."""
    path: Path = home.run / f"sync-{kind}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def own_names(home: Home) -> tuple[str, ...]:
    """What pools may call this host: its name here, and those of its operating system where that is meant."""
    aliases = host_names()
    meant = home.name == home.mn or home.name in aliases
    return tuple(dict.fromkeys([home.name, *(aliases if meant else ())]))
