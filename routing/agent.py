"""The service node's side of an attempt: claim, act, report, beat (docs/architecture.md).

One agent lives in each process that sends. It has a writer, which turns what the BMC drivers say into one
transaction after the other, and a beat, which renews the authority twice a second on a connection of its own.
The BMC loops outlive the task: `work` returns when only silent BMCs are left, and they stay under the same
attempt and beat to their deadline.
"""

import logging
import threading
import time
from collections.abc import Callable

from core import jobspec
from core.blob import read_blob
from core.bmcaccess import Access
from core.errors import RequestError, ServalError, UnavailableError
from db import attempts
from db.attempts import Report
from db.engine import open_engine, writing
from db.home import Home
from drivers.bmc.contract import Driver, Target, Timing
from drivers.seal import open_sealed
from routing.authority import Authority, boottime
from routing.held import Held

log = logging.getLogger(__name__)

BEAT_S = 0.5
#: How long the writer gathers before it opens a transaction, where more can come: marks and what becomes of
#: them, and answers to reads, of which a transaction each hundredth of a second would cost more than they do.
GATHER_S, GATHER_READS_S = 0.01, 0.1
#: How long it waits after the database did not take a report.
AGAIN_S = 0.3


class Agent:
    """Everything a sending process owns: a driver for each method, and one for BMCs no other understands."""

    def __init__(
        self,
        home: Home,
        driver_of: Callable[[str], Driver],
        fallback: Callable[[], Driver],
        wake: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._home = home
        self._engine = open_engine(home.database, brisk=True)
        self._driver_of = driver_of
        self._fallback = fallback
        self._wake = wake
        self._wall = wall
        self._authority = Authority()
        self._held: dict[int, Held] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write_loop, name="writer", daemon=True),
            threading.Thread(target=self._beat_loop, name="beat", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def work(self, attempt_id: int) -> str:
        """Do the attempt; returns one line for people when nothing but silent BMCs is left of it."""
        sent_at = boottime()
        with writing(self._engine) as connection:
            claimed = attempts.claim(connection, attempt_id, self._wall())
        if claimed is None:
            return "dropped: claimed before, given away or cancelled"
        self._authority.renewed(attempt_id, sent_at)
        held = Held(claimed, lambda: self._may_send(attempt_id), self._notify)
        self._start(held)
        self._held[attempt_id] = held  # only now: the writer must find its batch to permit
        self._notify()
        while attempt_id in self._held:
            if all(batch.wait_settled(0.5) for batch in held.batches):
                break
        self._release(held)
        return f"{held.ok} of {len(claimed.nodes)} ok"

    def close(self) -> None:
        """Stop sending and end the threads; what was not written is given away by the fence."""
        for held in list(self._held.values()):
            held.abandon()
        self._stop.set()
        self._notify()
        for thread in self._threads:
            thread.join(timeout=3)

    # -- starting ----------------------------------------------------------------------------------

    def _start(self, held: Held) -> None:
        try:
            spec = jobspec.from_text(held.claimed.spec)
            plain = open_sealed(self._home.keys, held.claimed.sn, held.claimed.sealed)
            found = read_blob(plain)
        except RequestError as error:
            held.fail(held.claimed.nodes, type(error).__name__, error.message)
            return
        held.fail(held.claimed.nodes - found.keys(), "RequestError", "the attempt holds no address for it")
        by_method: dict[str, list[Target]] = {}
        for node, (address, access) in found.items():
            if node in held.claimed.nodes:
                by_method.setdefault(access.method, []).append(target(node, address, access))
        drivers = {method: self._driver_of(method) for method in by_method}
        for method, targets in by_method.items():
            self._run(held, drivers[method], spec, targets)

    def _run(self, held: Held, driver: Driver, spec: jobspec.JobSpec, targets: list[Target]) -> None:
        timing = Timing(spec.timeout_s, spec.retries)
        held.batches.append(driver.run(spec.command, targets, timing, held, held.reply))

    def _release(self, held: Held) -> None:
        if held.claimed.id in self._held:
            try:
                with writing(self._engine) as connection:
                    attempts.tell_status(connection, held.claimed, self._wall())
                    attempts.release(connection, held.claimed.id, self._wall())
            except UnavailableError as error:
                log.warning("attempt %d not released: %s", held.claimed.id, error.message)

    def _may_send(self, attempt_id: int) -> bool:
        return self._authority.holds(attempt_id, boottime())

    # -- writing -----------------------------------------------------------------------------------

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify()

    def _write_loop(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                if not any(held.waiting for held in list(self._held.values())):
                    self._changed.wait(timeout=0.1)
            self._gather()
            for held in list(self._held.values()):
                try:
                    self._write(held)
                except Exception:
                    log.exception("attempt %d", held.claimed.id)
                    self._drop(held)
                    self._forget(held)

    def _gather(self) -> None:
        """Let more come into the next transaction, as far as somebody does not wait for it."""
        until = time.monotonic() + GATHER_READS_S
        while time.monotonic() < until:
            held = list(self._held.values())
            if all(one.complete for one in held):
                return
            time.sleep(GATHER_S)
            if any(one.urgent for one in held):
                return

    def _write(self, held: Held) -> None:
        self._give_foreign(held)
        report = held.take()
        try:
            if report:
                self._write_report(held, report)
                report = Report()
            if held.idle:
                self._finish(held)
        except ServalError as error:
            log.warning("attempt %d: %s", held.claimed.id, error.message)
            held.unwritten(report)
            time.sleep(AGAIN_S)

    def _write_report(self, held: Held, report: Report) -> None:
        sent_at = boottime()
        with writing(self._engine) as connection:
            result = attempts.write(connection, held.claimed, report, self._wall())
        if not result.alive:
            self._drop(held)
            return
        self._authority.renewed(held.claimed.id, sent_at)
        held.written(report, result.issued)

    def _finish(self, held: Held) -> None:
        if not held.dropped:
            with writing(self._engine) as connection:
                attempts.finish(connection, held.claimed.id, self._wall())
        self._forget(held)
        self._wake()

    def _give_foreign(self, held: Held) -> None:
        """BMCs that the engine does not understand go to the other driver, before anything was sent."""
        nodes = held.take_foreign()
        if not nodes:
            return
        spec = jobspec.from_text(held.claimed.spec)
        found = read_blob(open_sealed(self._home.keys, held.claimed.sn, held.claimed.sealed))
        self._run(held, self._fallback(), spec, [target(node, *found[node]) for node in nodes])

    # -- beating -----------------------------------------------------------------------------------

    def _beat_loop(self) -> None:
        while not self._stop.wait(BEAT_S):
            held = {number: one for number, one in list(self._held.items()) if not one.dropped}
            if held:
                try:
                    self._beat(held)
                except ServalError as error:
                    log.warning("no beat: %s", error.message)
                except Exception:
                    log.exception("no beat")

    def _beat(self, held: dict[int, Held]) -> None:
        sent_at = boottime()
        with writing(self._engine) as connection:
            alive = attempts.beat(connection, held)
        for attempt_id, one in held.items():
            if attempt_id in alive:
                self._authority.renewed(attempt_id, sent_at)
            elif attempt_id in self._held:
                self._drop(one)

    def _drop(self, held: Held) -> None:
        """Not ours any more: nothing is sent; the writer still records what the BMCs answered (rule 6)."""
        self._authority.lost(held.claimed.id)
        if not held.dropped:
            log.warning("attempt %d is no longer ours; nothing more is sent for it", held.claimed.id)
        held.abandon()

    def _forget(self, held: Held) -> None:
        self._authority.lost(held.claimed.id)
        self._held.pop(held.claimed.id, None)


def target(node: str, address: str, access: Access) -> Target:
    """One BMC as the drivers take it."""
    user, password = access.username.encode(), access.password.encode()
    return Target(node, address, user, password, access.port, access.web)
