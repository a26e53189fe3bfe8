"""Who still beats, judged by the changes of a counter on the judge's own clock (PROTOCOL rules 4 and 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Seconds without a change after which a beat is taken for dead.
LIFE_S = 3.0


@dataclass(slots=True)
class BeatWatch:
    """When each counter was last seen to change; all times are seconds of one monotonic clock."""

    seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def look(self, now: float, beats: Mapping[str, int]) -> None:
        """Take note of all counters as they are now; those that are gone are forgotten."""
        for name, beat in beats.items():
            known = self.seen.get(name)
            if known is None or known[0] != beat:
                self.seen[name] = (beat, now)
        for name in self.seen.keys() - beats.keys():
            del self.seen[name]

    def dead(self, now: float, name: str) -> bool:
        """Whether the counter has not changed for a whole life under our eyes."""
        known = self.seen.get(name)
        return known is not None and now - known[1] >= LIFE_S

    def begin_anew(self, now: float) -> None:
        """Forget what was seen: we were away ourselves, so everybody gets a whole life from now."""
        self.seen = {name: (beat, now) for name, (beat, _) in self.seen.items()}
