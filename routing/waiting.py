"""Attempts that nobody has claimed yet: since when, and what becomes of them (PROTOCOL rule 10). Pure.

An attempt may have been lost on its way, so it is published again; the service node may have lost its worker,
so the attempt goes to the next one when the queue moved not at all for the claim time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from db.supervision import OpenAttempt

#: An attempt that nobody claimed is published again after this many seconds …
REPUBLISH_S = 5.0
#: … and given to the next service node when this one has claimed nothing at all for so long.
CLAIM_S = 10.0
#: Attempts that may wait in the small queue beyond the children that work on it.
SMALL_AHEAD = 8


@dataclass(slots=True)
class Waiting:
    """What one supervisor saw of the queues; all times are seconds of one monotonic clock."""

    #: Attempt → since when it is seen to wait.
    since: dict[int, float] = field(default_factory=dict)
    #: Attempt → when we last published it.
    published: dict[int, float] = field(default_factory=dict)
    #: Queue → when an attempt of it was last seen to be claimed.
    claims: dict[str, float] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)

    def look(self, now: float, attempts: Sequence[OpenAttempt]) -> None:
        """Take note of all open attempts; those that are over are forgotten."""
        fresh = {found.id for found in attempts if found.claimed is None}
        self.since = {number: self.since.get(number, now) for number in fresh}
        self.published = {number: at for number, at in self.published.items() if number in fresh}
        taken = [found for found in attempts if found.claimed is not None]
        for found in taken:
            if found.id not in self.claimed:
                self.claims[found.queue] = now
        self.claimed = {found.id for found in taken}

    def begin_anew(self) -> None:
        """Redis or we ourselves were away: nobody is to blame for what was not claimed."""
        self.since.clear()

    def emptied(self) -> None:
        """Redis lost what it held: publish everything again."""
        self.since.clear()
        self.published.clear()

    def sent(self, now: float, attempt: int) -> None:
        """The attempt was handed to the broker."""
        self.published[attempt] = now

    def late(self, now: float, found: OpenAttempt) -> bool:
        """Whether an attempt should be published (again)."""
        return found.claimed is None and now - self.published.get(found.id, float("-inf")) >= REPUBLISH_S

    def stuck(self, now: float, found: OpenAttempt, attempts: Sequence[OpenAttempt]) -> bool:
        """Whether the queue of this attempt has not moved for the claim time although nothing holds it up."""
        if any(o.queue == found.queue and o.claimed is not None and o.released is None for o in attempts):
            return False
        since = max(self.since.get(found.id, now), self.claims.get(found.queue, float("-inf")))
        return now - since >= CLAIM_S


def room(queue: str, children: int, attempts: Sequence[OpenAttempt]) -> int:
    """How many more attempts may be published to a queue now."""
    ahead = 1 if queue.endswith(".bulk") else SMALL_AHEAD
    waiting = sum(1 for found in attempts if found.queue == queue and found.released is None)
    return max(0, children + ahead - waiting)
