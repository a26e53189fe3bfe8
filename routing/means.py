"""What a supervisor works with, all given from outside, so that a model test can drive it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from db.engine import Engine
from db.supervision import JobRow, OpenAttempt
from routing.liveness import Kind, Liveness, Observer


class Credentials(Protocol):
    """Resolves and seals what a service node needs to reach BMCs (routing/credentials.py)."""

    def joined(self, sn: str) -> bool:
        """Whether the service node has a public key."""

    def resolve(self, nodes: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Look up the BMCs of these nodes; answers those that have none, with error class and sentence."""

    def seal(self, sn: str, job: JobRow, nodes: Iterable[str]) -> str:
        """The sealed blob for these resolved nodes."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An attempt on its way to the broker."""

    attempt: int
    job: int
    sn: str
    queue: str
    nodes: str
    label: str
    command: str


@dataclass(frozen=True, slots=True)
class Means:
    """Database, credentials, broker, clocks: `clock` runs on during suspend, `wall` is what people read."""

    name: str
    engine: Engine
    credentials: Credentials
    publish: Callable[[Parcel], bool]
    clock: Callable[[], float]
    wall: Callable[[], float]
    #: The management node's own name.
    mn: str
    observer: Observer = field(default_factory=Observer)

    def standing(self, name: str) -> Liveness:
        """The judgement on one member of a pool, its public key included."""
        found = self.observer.standing(name)
        member = self.observer.find(name)
        if found.kind is Kind.LIVE and member and not self.credentials.joined(member):
            return Liveness(Kind.UNUSABLE, f"{member} has not joined: its public key is not in the database")
        return found

    def members(self, pool: str) -> list[str]:
        """The members of a pool under the names that they give themselves, each once, best first."""
        return list(dict.fromkeys(self.observer.find(name) or name for name in pool.split(",")))

    def children(self, member: str) -> int:
        """How many pool processes work on the bulk queue of a service node."""
        lease = self.observer.lease(member)
        return int(lease.load.get("children", 2)) if lease else 2


def parcel_of(found: OpenAttempt, row: JobRow) -> Parcel:
    """An attempt as the broker gets it."""
    return Parcel(found.id, found.job, found.sn, found.queue, found.nodes, row.label, row.command)
