"""The Redfish driver: one asyncio loop in one thread, a bounded number of visits (drivers.bmc.redfishvisit).

Visits stand in lanes (drivers.bmc.lanes): the window is for BMCs that answer.
"""

import asyncio
import resource
import threading
from collections import deque
from collections.abc import Callable, Sequence

from drivers.bmc.batch import RunningBatch
from drivers.bmc.contract import Command, Gate, Reply, Target, Timing
from drivers.bmc.https import Trusting
from drivers.bmc.lanes import Lanes
from drivers.bmc.redfishvisit import Visit
from drivers.bmc.replies import Replies

#: With those that hang beside it, three times as many TLS connections of 0.3 MB.
WINDOW = 96
_CLOSE_S = 5.0

Batch = RunningBatch[Visit]


class RedfishDriver:
    """Runs batches over Redfish. One instance a process, made after the last fork."""

    def __init__(self, window: int = WINDOW) -> None:
        """`window`: BMCs that answer, at once."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._lanes = Lanes(window, files, self._look_again)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._trusting = Trusting()
        self._unstarted: deque[tuple[Batch, Command]] = deque()
        self._visits: set[Visit] = set()
        self._put_off: deque[tuple[Batch, Command, Target]] = deque()

    # -- any thread --------------------------------------------------------------------------------

    def run(
        self,
        command: Command,
        targets: Sequence[Target],
        timing: Timing,
        gate: Gate,
        on_reply: Callable[[Reply], None],
    ) -> Batch:
        """Start `command` on all targets, return at once; `on_reply` is called from the driver's thread."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="bmc-redfish", daemon=True
                )
                self._thread.start()
            loop = self._loop

        def post(job: Callable[[], None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(job)

        batch = RunningBatch(command, targets, timing, gate, on_reply, post, self)
        post(lambda: self._admit(batch, command))
        return batch

    def close(self) -> None:
        """Abandon what is in flight, close the sessions and end the thread; a later `run` starts anew."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    # -- the driver's thread -----------------------------------------------------------------------

    def _admit(self, batch: Batch, command: Command) -> None:
        self._unstarted.append((batch, command))
        self._fill()

    def _fill(self) -> None:
        """Start visits while there is room, one of each batch in turn."""
        while self._unstarted and self._lanes.open:
            batch, command = self._unstarted.popleft()
            if not batch.waiting:
                continue
            self._unstarted.append((batch, command))
            self._start(batch, command, batch.waiting.popleft())
        while self._put_off and self._lanes.may_hang:
            self._start(*self._put_off.popleft(), put_off=True)

    def _start(self, batch: Batch, command: Command, target: Target, put_off: bool = False) -> None:
        visit = Visit(batch, command, target, self._trusting, self._lanes, put_off)
        self._visits.add(visit)
        batch.sessions[visit.node] = visit
        visit.start(self._ended)

    def _look_again(self) -> None:
        # Not now: this is called from the middle of visits.
        asyncio.get_running_loop().call_soon(self._fill)

    def _ended(self, visit: Visit) -> None:
        self._visits.discard(visit)
        if visit.unfinished:
            visit.batch.sessions.pop(visit.node, None)
            self._put_off.append((visit.batch, visit.command, visit.target))
            self._fill()

    def permit(self, batch: Batch, nodes: Sequence[str]) -> None:
        """The gate said yes to `nodes`."""
        for node in nodes:
            if (visit := batch.sessions.get(node)) is not None:
                visit.permit()

    def abandon(self, batch: Batch, nodes: Sequence[str] | None) -> None:
        """End `nodes` (None: all) with what is known."""
        if nodes is None:
            while batch.waiting:
                batch.answer(Replies(batch.waiting.popleft()).dropped())
        for entry in tuple(self._put_off):
            if entry[0] is batch and (nodes is None or entry[2].node in nodes):
                self._put_off.remove(entry)
                batch.silence(-1)
                batch.answer(Replies(entry[2]).dropped())
        for node in tuple(batch.sessions) if nodes is None else nodes:
            if (visit := batch.sessions.get(node)) is not None:
                visit.abandon()

    async def _end(self) -> None:
        waiting = {batch for batch, _ in self._unstarted} | {batch for batch, _, _ in self._put_off}
        for batch in waiting | {visit.batch for visit in self._visits}:
            self.abandon(batch, None)
        tasks = [visit.task for visit in self._visits if visit.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
