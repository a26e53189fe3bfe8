"""Whether this process may still send for an attempt, by its own clock (PROTOCOL rule 4).

A process is silent from SILENT_S after the *sending* of its last renewal that succeeded. The management
node gives work away no sooner than LIFE_S (routing/beats.py) after it *saw* that renewal, and fences by a
condition on the beat, so one second at least lies between the two, whatever the clocks of the hosts say.
"""

import threading
import time

SILENT_S = 2.0


def boottime() -> float:
    """Seconds on a clock that goes on while the host is suspended or the process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Authority:
    """The renewals of all attempts of one process. Safe for several threads."""

    def __init__(self) -> None:
        self._renewed: dict[int, float] = {}
        self._lock = threading.Lock()

    def renewed(self, attempt: int, sent_at: float) -> None:
        """A renewal that left at `sent_at` (boottime) succeeded."""
        with self._lock:
            self._renewed[attempt] = max(sent_at, self._renewed.get(attempt, sent_at))

    def lost(self, attempt: int) -> None:
        """The attempt was fenced or is over."""
        with self._lock:
            self._renewed.pop(attempt, None)

    def holds(self, attempt: int, now: float) -> bool:
        """Whether a state-changing datagram of this attempt may leave at `now`."""
        renewed = self._renewed.get(attempt)
        return renewed is not None and now - renewed < SILENT_S
