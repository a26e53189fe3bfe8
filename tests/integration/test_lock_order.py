"""Supervisors, service nodes and people at the same rows at once: nobody waits for another in a ring.

Everybody locks in one order: job, attempts by number, job_node (docs/architecture.md). A deadlock would end
one transaction with an UnavailableError, which these threads do not forgive.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from sqlalchemy import select
from stage import NoSecrets

from core.jobspec import JobSpec
from core.lease import Lease, Reading
from core.power import Action
from core.states import Outcome
from db import attempts, jobs
from db.attempts import Claimed, Final, Hop, Report
from db.engine import Engine, open_engine, reading, writing
from db.jobtables import attempt
from routing.supervisor import Supervisor

NODES = [f"n{i}" for i in range(12)]
SECONDS = 6.0


class Crowd:
    """Threads that run until one fails or the time is over."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.stop, self.failures = engine, threading.Event(), list[Exception]()
        self.work_done = 0

    def run(self, bodies: list[Callable[[], None]], seconds: float) -> None:
        threads = [threading.Thread(target=self._loop, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        self.stop.wait(seconds)
        self.stop.set()
        for thread in threads:
            thread.join()
        assert not self.failures, self.failures[0]

    def _loop(self, body: Callable[[], None]) -> None:
        while not self.stop.is_set():
            try:
                body()
            except Exception as error:
                logging.exception("a thread failed")
                self.failures.append(error)
                self.stop.set()

    def supervisor(self, name: str) -> Callable[[], None]:
        one = Supervisor(name, self.engine, NoSecrets(), lambda parcel: True, time.monotonic, time.time)

        def step() -> None:
            beat = time.monotonic_ns()
            leases = {
                sn: Lease(name=sn, beat=beat, boot="b", load={"children": 8.0}) for sn in ("sn1", "sn2")
            }
            one.step(Reading("era", leases))
            time.sleep(0.02)

        return step

    def people(self) -> None:
        chosen = random.sample(NODES, 6)
        action = random.choice([Action.RESET, Action.ON, Action.STAT])
        asked = jobs.NewJob(
            request=str(random.random()),
            command="rpower",
            spec=JobSpec(action).to_text(),
            label="rpower",
            who="root",
            changing=action is not Action.STAT,
            paced=False,
            pools=dict.fromkeys(chosen, "sn1,sn2"),
            hopeless={},
        )
        number = jobs.submit(self.engine, asked, time.time(), supersede=random.random() < 0.5)
        if random.random() < 0.4:
            jobs.cancel(self.engine, max(1, number - random.randrange(4)), "root", time.time())
        time.sleep(0.01)

    def service_node(self, name: str) -> list[Callable[[], None]]:
        held: dict[int, Claimed] = {}

        def claim() -> None:
            wanted = select(attempt.c.id).where(
                attempt.c.ended.is_(None), attempt.c.claimed.is_(None), attempt.c.sn == name
            )
            with reading(self.engine) as connection:
                found = list(connection.scalars(wanted))
            for number in found:
                with writing(self.engine) as connection:
                    claimed = attempts.claim(connection, number, time.time())
                if claimed:
                    held[number] = claimed
            time.sleep(0.005)

        def beat() -> None:
            if held:
                with writing(self.engine) as connection:
                    attempts.beat(connection, random.sample(list(held), len(held)))
            time.sleep(0.002)

        def work() -> None:
            for number, claimed in list(held.items()):
                nodes = random.sample(sorted(claimed.nodes), len(claimed.nodes))
                self._report(claimed, Report(requests=dict.fromkeys(nodes, "on")))
                hops = [Hop(node, "silent", "BmcSilent") for node in nodes[:1]]
                finals = [Final(node, Outcome.OK, "on") for node in nodes[1:]]
                self._report(claimed, Report(finals, hops))
                held.pop(number)
                with writing(self.engine) as connection:
                    attempts.finish(connection, number, time.time())
                self.work_done += 1
            time.sleep(0.005)

        return [claim, beat, work]

    def _report(self, claimed: Claimed, report: Report) -> None:
        with writing(self.engine) as connection:
            attempts.write(connection, claimed, report, time.time())


def test_nobody_waits_in_a_ring(postgres_url: str) -> None:
    crowd = Crowd(open_engine(postgres_url))
    bodies = [crowd.supervisor("one"), crowd.supervisor("two"), crowd.people, crowd.people]
    bodies += crowd.service_node("sn1") + crowd.service_node("sn2")
    crowd.run(bodies, SECONDS)
    assert crowd.work_done
