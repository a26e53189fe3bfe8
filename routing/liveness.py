"""Who is alive, judged from the leases that were read; pure, with the clock as a parameter (PROTOCOL 8, 21).

An SN is live while its beat counter changed within LIFE_S of the observer's own clock. The observer trusts
nothing but what it saw without a gap: after a failed read, a restarted or emptied Redis, or a pause of its
own it begins anew, and until a whole life of successful reads has passed nobody is dead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address

from core.lease import PROTOCOL, Lease, Reading

#: Seconds without a change of the beat after which an SN is dead.
LIFE_S = 3.0
#: An observer that was not called for longer than this may have missed anything.
PAUSE_S = 1.0
#: Changes to be seen from an SN that returns, or whose worker was started anew.
BEATS_TO_RETURN = 4


class Kind(StrEnum):
    """What may be done with an SN."""

    #: Gives signs of life: work may be sent.
    LIVE = "live"
    #: Gave none for a whole life: its work may be given away.
    DEAD = "dead"
    #: Not seen for long enough to tell: send nothing, give nothing away.
    UNKNOWN = "unknown"
    #: Alive, but no work may be sent; what it has, it keeps.
    UNUSABLE = "unusable"
    #: People said so: no new work, alive or not; what it has claimed, it keeps.
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class Liveness:
    """The judgement on one name, with the reason as a sentence for `serval why`."""

    kind: Kind
    reason: str
    #: It gives signs of life again, and after some more of them it is live.
    returning: bool = False

    @property
    def usable(self) -> bool:
        """Whether new work may be sent."""
        return self.kind is Kind.LIVE


@dataclass(slots=True)
class Sighting:
    """What the observer knows of one lease."""

    lease: Lease
    #: When a change of the beat was last seen.
    changed: float = float("-inf")
    #: The last such moment at which it counted as live.
    live: float = float("-inf")
    #: Changes seen since it came back, up to `needed`.
    beats: int = 0
    #: Changes needed before it counts as live.
    needed: int = 1
    #: Since when it says that it does not reach the database.
    cut_off: float | None = None


class Observer:
    """One observer of all leases. Feed `saw` at every loop; the answers hold as of the last call."""

    def __init__(self, protocol: int = PROTOCOL) -> None:
        self._protocol = protocol
        self._now: float | None = None
        self._since: float | None = None
        self._era = ""
        self._cause = "the management node has just started"
        self._seen: dict[str, Sighting] = {}
        self._present: Mapping[str, Lease] = {}
        #: Names that people have drained, with the reason; set by whoever reads the database (db/drains.py).
        self.drained: Mapping[str, str] = {}

    @property
    def settled(self) -> bool:
        """Whether a whole life of successful reads has been seen, so that silence means something."""
        return self._now is not None and self._since is not None and self._now - self._since >= LIFE_S

    @property
    def leases(self) -> Mapping[str, Lease]:
        """The leases as last read, live or not."""
        return self._present

    def saw(self, now: float, reading: Reading | None) -> None:
        """Take in one look at the leases; None says that Redis did not answer.

        `now` is seconds on a clock that runs on during suspend (CLOCK_BOOTTIME), taken after the read.
        """
        gap = 0.0 if self._now is None else now - self._now
        self._now = now
        if reading is None:
            self._since = None
            self._cause = "Redis did not answer"
            return
        self._judge_continuity(now, gap, reading.era)
        self._present = dict(reading.leases)
        for name in sorted({*self._seen, *reading.leases}):
            self._watch(now, name, reading.leases.get(name))

    def begin_anew(self, cause: str) -> None:
        """Forget what was concluded: something of our own was away."""
        self._since, self._cause = None, cause

    def state(self, name: str) -> Liveness:
        """The judgement on the SN with this name, short, fully qualified or alias."""
        claims = self._claimants(name)
        if len(claims) > 1:
            return Liveness(Kind.UNUSABLE, f"{name} is ambiguous: {' and '.join(claims)} both answer to it")
        if self._now is None or self._since is None:
            return Liveness(Kind.UNKNOWN, f"nobody can be judged: {self._cause}")
        if not claims:
            return self._absent(f"{name} has never given a sign of life")
        return self._judge(self._seen[claims[0]])

    def standing(self, name: str) -> Liveness:
        """The judgement for new work: as `state`, except that who is drained gets none."""
        lease = self.lease(name)
        for drained, reason in self.drained.items():
            if drained == name or (lease and answers(lease, drained)):
                return Liveness(Kind.DRAINED, reason)
        return self.state(name)

    def find(self, name: str) -> str | None:
        """The name that the SN called `name` gives itself and its queues; None: unknown or ambiguous."""
        claims = self._claimants(name)
        return claims[0] if len(claims) == 1 else None

    def lease(self, name: str) -> Lease | None:
        """The last lease of the SN called `name`, live or not."""
        found = self.find(name)
        return self._seen[found].lease if found else None

    def _judge_continuity(self, now: float, gap: float, era: str) -> None:
        """Begin the observation anew when something may have been missed."""
        if self._since is not None:
            if gap > PAUSE_S:
                self._since, self._cause = None, f"the management node was paused for {gap:.1f} s"
            elif era != self._era:
                self._since, self._cause = None, "Redis was restarted or emptied"
        self._era = era
        if self._since is None:
            self._since = now

    def _watch(self, now: float, name: str, lease: Lease | None) -> None:
        """Take in what one name did since the last look."""
        known = self._seen.get(name)
        if known is None:
            assert lease is not None
            self._seen[name] = Sighting(lease, needed=BEATS_TO_RETURN if self.settled else 1)
            return
        if self._since_then(known.changed) >= LIFE_S:
            known.beats, known.needed = 0, BEATS_TO_RETURN
        if lease is None:
            return
        if lease.boot != known.lease.boot:
            known.beats, known.needed = 0, BEATS_TO_RETURN
        elif lease.beat != known.lease.beat:
            known.beats = min(known.beats + 1, known.needed)
            known.changed = now
            if known.beats == known.needed:
                known.live = now
        known.lease = lease
        known.cut_off = None if lease.database_ok else known.cut_off or now

    def _since_then(self, moment: float) -> float:
        """Seconds of unbroken observation since `moment`."""
        assert self._now is not None and self._since is not None
        return self._now - max(self._since, moment)

    def _judge(self, known: Sighting) -> Liveness:
        """The judgement on a name that was seen."""
        assert self._now is not None and self._since is not None
        name = known.lease.name
        if known.changed < self._since or self._now - known.changed >= LIFE_S:
            silence = self._since_then(known.changed)
            return self._absent(f"{name} has given no sign of life for {silence:.1f} s", known.live)
        if known.beats < known.needed:
            came_back = f"{name} came back, {known.beats} of {known.needed} beats seen"
            return replace(self._absent(came_back, known.live), returning=True)
        if not self._protocol - 1 <= known.lease.protocol <= self._protocol:
            spoken = f"{name} speaks protocol {known.lease.protocol}"
            return Liveness(Kind.UNUSABLE, f"{spoken}, this management node {self._protocol}")
        if known.cut_off is not None:
            # Everybody, we too, may have lost it for a moment: that alone sends nobody's work elsewhere.
            long = self._since_then(known.cut_off) >= LIFE_S
            return Liveness(Kind.UNUSABLE if long else Kind.UNKNOWN, f"{name} cannot reach the database")
        return Liveness(Kind.LIVE, f"{name} is live")

    def _absent(self, what: str, live: float = float("-inf")) -> Liveness:
        """Dead when a whole life of observation has passed since it was `live`, unknown before."""
        if self._since_then(live) >= LIFE_S:
            return Liveness(Kind.DEAD, what)
        if not self.settled:
            what = f"{what}, and observation began anew: {self._cause}"
        return Liveness(Kind.UNKNOWN, what)

    def _claimants(self, name: str) -> list[str]:
        """The leases that answer to `name`: the one of that very name, else all that claim it."""
        if name in self._seen:
            return [name]
        return sorted(seen for seen, known in self._seen.items() if answers(known.lease, name))


def answers(lease: Lease, name: str) -> bool:
    """Whether the host of this lease is meant by `name`.

    Names are compared without case. A short name on either side stands for any domain; two different
    domains, and parts of an IP address, never match.
    """
    wanted = name.lower().rstrip(".")
    own = {word.lower().rstrip(".") for word in (lease.name, *lease.aliases)}
    if wanted in own:
        return True
    if short(wanted) == wanted:
        return wanted in {short(word) for word in own}
    return short(wanted) in own and not any(short(word) != word for word in own)


def short(name: str) -> str:
    """The host part of a name; an IP address stays whole."""
    try:
        ip_address(name)
    except ValueError:
        return name.partition(".")[0]
    return name
