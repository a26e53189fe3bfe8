"""How many Redfish visits may stand where at once, so that silent BMCs hold nobody up and memory is bounded.

A visit knocks (opens a TCP connection; a moment only), enters the window (TLS and the conversation), and,
when its BMC lets it wait, hangs beside the window. Who is not let in at once knocks again in the late lane,
where waiting costs one open file; for whom there is no room to hang is put off until there is.
"""

import asyncio
from collections.abc import Callable

#: Files of the process that are not the driver's, and the most that it takes itself.
OTHER_FILES, MOST_FILES = 256, 4096


class Lanes:
    """The room of one driver; `changed` is called when some of it becomes free."""

    def __init__(self, window: int, files: int, changed: Callable[[], None]) -> None:
        """`files`: how many the process may open."""
        self.window = asyncio.Semaphore(window)
        self.late = asyncio.Semaphore(max(1, min(files - OTHER_FILES, MOST_FILES) // 2))
        self.knocking = self.hanging = 0
        self._most_knocking = self._most_hanging = 2 * window
        self.changed = changed

    @property
    def open(self) -> bool:
        """Whether another visit may knock."""
        return self.knocking < self._most_knocking and not self.window.locked()

    @property
    def may_hang(self) -> bool:
        """Whether another visit may hang beside the window: one that hangs keeps its TLS buffers."""
        return self.hanging < self._most_hanging


class Place:
    """Where one visit stands; in the beginning it knocks, or hangs when it was put off before."""

    def __init__(self, lanes: Lanes, put_off: bool) -> None:
        self._lanes = lanes
        self._leave: Callable[[], None] | None = self._end_hang if put_off else self._end_knock
        if put_off:
            lanes.hanging += 1
        else:
            lanes.knocking += 1

    async def late(self) -> None:
        """Stand in the late lane, when there is room; who hangs stays."""
        if self._leave == self._end_hang:
            return
        self.leave()
        await self._lanes.late.acquire()
        self._leave = self._lanes.late.release

    async def enter(self) -> None:
        """Stand in the window, when there is room; who hangs stays."""
        if self._leave == self._end_hang:
            return
        await self._lanes.window.acquire()
        self.leave()
        self._leave = self._lanes.window.release

    def hang(self) -> bool:
        """Leave the window to another; False when there is no room beside it."""
        if self._leave != self._lanes.window.release:
            return True
        if not self._lanes.may_hang:
            return False
        self.leave()
        self._lanes.hanging += 1
        self._leave = self._end_hang
        return True

    def leave(self) -> None:
        """Stand nowhere."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
            self._lanes.changed()

    def _end_knock(self) -> None:
        self._lanes.knocking -= 1

    def _end_hang(self) -> None:
        self._lanes.hanging -= 1
