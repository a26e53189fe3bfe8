"""The Redfish driver: one asyncio loop in one thread, a bounded number of visits (drivers.bmc.redfishvisit).

A place in the window is for BMCs that answer. A visit whose BMC lets it wait gives its place back and goes on
outside the window, where only the number of open files bounds it.
"""

import asyncio
import resource
import threading
from collections import deque
from collections.abc import Callable, Sequence

from drivers.bmc.batch import RunningBatch
from drivers.bmc.contract import Command, Gate, Reply, Target, Timing
from drivers.bmc.https import Trusting
from drivers.bmc.redfishvisit import Visit
from drivers.bmc.replies import Replies

WINDOW = 128
#: Files of the process that are not the driver's, and the most that it takes itself.
_OTHER_FILES, _MOST_FILES = 256, 4096
_CLOSE_S = 5.0

Batch = RunningBatch[Visit]


class RedfishDriver:
    """Runs batches over Redfish. One instance a process, made after the last fork."""

    def __init__(self, window: int = WINDOW) -> None:
        """`window`: BMCs that answer, at once."""
        self._window = window
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(window, min(files - _OTHER_FILES, _MOST_FILES))
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._trusting = Trusting()
        self._unstarted: deque[tuple[Batch, Command]] = deque()
        self._visits: set[Visit] = set()
        self._places = window

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
        while self._unstarted and self._places > 0 and len(self._visits) < self._most:
            batch, command = self._unstarted.popleft()
            if not batch.waiting:
                continue
            visit = Visit(batch, command, batch.waiting.popleft(), self._trusting, self._place_back)
            self._unstarted.append((batch, command))
            self._places -= 1
            self._visits.add(visit)
            batch.sessions[visit.node] = visit
            visit.start(self._ended)

    def _place_back(self) -> None:
        self._places += 1
        # Not now: this is called from the middle of visits.
        asyncio.get_running_loop().call_soon(self._fill)

    def _ended(self, visit: Visit) -> None:
        self._visits.discard(visit)
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
        for node in tuple(batch.sessions) if nodes is None else nodes:
            if (visit := batch.sessions.get(node)) is not None:
                visit.abandon()

    async def _end(self) -> None:
        for batch in {visit.batch for visit in self._visits} | {batch for batch, _ in self._unstarted}:
            self.abandon(batch, None)
        tasks = [visit.task for visit in self._visits if visit.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
