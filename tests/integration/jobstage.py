"""A management node and its service nodes for tests of commands: the real supervisor, on a clock we turn.

Service nodes answer through `db.attempts`, as the agent does; what the BMCs say is up to the test. Unlike
`stage.py` it works on real definitions and credentials, in wall time that people see.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.lease import Lease, Reading
from core.states import Outcome
from db import attempts, members
from db.attempts import Claimed, Final, Hop, Report
from db.engine import Engine, writing
from drivers.seal import make_key
from routing.credentials import BmcCredentials
from routing.supervisor import Parcel, Supervisor

#: What a service node says of a node.
Answering = Callable[[str, str], Final | Hop]


def always_on(_sn: str, node: str) -> Final:
    """Every BMC does what it is told."""
    return Final(node, Outcome.OK, "on")


class JobStage:
    """`live` are the members that give signs of life; change it as you like."""

    def __init__(self, engine: Engine, keys: Path, names: tuple[str, ...] = ("mn1", "sn1", "sn2")) -> None:
        self.engine = engine
        self.live = set(names)
        self.parcels: list[Parcel] = []
        self._now = 1000.0
        self._beats = itertools.count(1)
        with writing(engine) as connection:
            for name in names:
                members.join(connection, name, make_key(keys, name), time.time())
        self.supervisor = Supervisor(
            "supervisor-1", engine, BmcCredentials(engine), self._publish, lambda: self._now, time.time
        )
        self.turn(4)

    def _publish(self, parcel: Parcel) -> bool:
        self.parcels.append(parcel)
        return True

    def turn(self, seconds: float = 0.2) -> None:
        """Let this time pass, a step of the supervisor for each half second."""
        for _ in range(max(1, round(seconds / 0.5))):
            self._now += 0.5
            beat = next(self._beats)
            found = {name: Lease(name=name, beat=beat, boot="b") for name in self.live}
            self.supervisor.step(Reading("era", found))

    def claim(self, sn: str) -> Claimed:
        """The service node takes the oldest parcel for it."""
        self.turn()
        parcel = next(parcel for parcel in self.parcels if parcel.sn == sn)
        self.parcels.remove(parcel)
        with writing(self.engine) as connection:
            claimed = attempts.claim(connection, parcel.attempt, time.time())
        assert claimed is not None
        return claimed

    def report(self, held: Claimed, *answers: Final | Hop, **issued: str) -> None:
        """The service node tells what became of nodes, and marks others as issued."""
        finals = [one for one in answers if isinstance(one, Final)]
        hops = [one for one in answers if isinstance(one, Hop)]
        with writing(self.engine) as connection:
            attempts.write(connection, held, Report(finals, hops, issued), time.time())
            attempts.finish(connection, held.id, time.time())

    def serve(self, answering: Answering = always_on) -> None:
        """One turn, and every published attempt is claimed and answered."""
        self.turn()
        while self.parcels:
            parcel = self.parcels.pop(0)
            with writing(self.engine) as connection:
                held = attempts.claim(connection, parcel.attempt, time.time())
            if held is not None:
                self.report(held, *(answering(held.sn, node) for node in sorted(held.nodes)))

    @contextmanager
    def running(self, answering: Answering = always_on) -> Iterator[None]:
        """Serve in the background, for commands that wait."""
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(0.05):
                self.serve(answering)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)
