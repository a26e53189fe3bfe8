"""What a supervisor remembers of one job between two steps. All of it can be read again from the database."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from core import jobspec, syncspec
from core.errors import RequestError
from core.jobspec import Pace
from core.states import NodeState
from core.syncspec import SyncSpec
from db.supervision import FreeNode, JobRow
from routing.planning import Tried, read_tried

#: Error class of a hop for which nothing is to blame but a missed beat: the same service node may try again.
UNSENT = "Unsent"
#: … but not for ever.
MOST_BINDS = 10
#: How often the nodes that wait for older jobs are looked up, in seconds for each thousand of them.
LOOK_S = 0.1
#: How long a paced job rests that found nothing left of the present interval.
REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Todo:
    """A node that nobody works on, with the service nodes that could not do it."""

    node: str
    pool: str
    tried: tuple[Tried, ...]
    #: A repeatable command that left without an answer, if any did.
    issued: str | None
    error: str | None


@dataclass(slots=True)
class Watched:
    """One job under supervision."""

    row: JobRow
    epoch: int
    free: dict[str, Todo] = field(default_factory=dict)
    #: node → the older job that still holds it.
    blocked: dict[str, int] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)
    #: Service node → attempts that we gave it.
    given: Counter[str] = field(default_factory=Counter)
    looked: float = float("-inf")
    #: A paced job tries nothing before this moment.
    rests_until: float = float("-inf")
    #: Where every member of a pool acts: what they do.
    sync: SyncSpec | None = None
    #: The pacing that applies to this job.
    pace: Pace | None = None
    #: site.jobstart as it was when the job was asked.
    job_start_s: float = 60.0
    #: When it was taken, while its nodes have no rows (db/folding.py).
    folded_since: float | None = None
    #: What is wrong with the specification; its nodes end with that.
    unreadable: str = ""

    def __post_init__(self) -> None:
        try:
            self.sync = syncspec.from_text(self.row.spec)
            if self.sync is not None:
                self.job_start_s = self.sync.job_start_s
                return
            spec = jobspec.from_text(self.row.spec)
            self.job_start_s, self.pace = spec.job_start_s, spec.pace if self.row.paced else None
        except RequestError as error:
            self.unreadable = error.message

    def refresh(self, row: JobRow) -> None:
        """The row as it was just read."""
        self.row = row

    def take(self, nodes: Iterable[FreeNode]) -> None:
        """Remember nodes that are free; what is known already stays as it is."""
        for found in nodes:
            if found.node not in self.free:
                self.free[found.node] = todo(found)

    def forget(self, nodes: Iterable[str]) -> None:
        """These are no longer free, or not ours to give."""
        for node in nodes:
            self.free.pop(node, None)

    def groups(self) -> dict[tuple[str, tuple[str, ...]], list[Todo]]:
        """Free nodes that no older job holds, by pool and by the names that were tried."""
        found: dict[tuple[str, tuple[str, ...]], list[Todo]] = {}
        for item in self.free.values():
            if item.node not in self.blocked:
                found.setdefault((item.pool, tuple(one.sn for one in item.tried)), []).append(item)
        return found

    def pools(self) -> dict[str, list[str]]:
        """Free nodes that no older job holds, by pool."""
        found: dict[str, list[str]] = {}
        for item in self.free.values():
            if item.node not in self.blocked:
                found.setdefault(item.pool, []).append(item.node)
        return found

    def due(self, now: float) -> bool:
        """Whether the nodes held by older jobs should be looked up again now."""
        if now - self.looked < LOOK_S * (1 + len(self.free) / 1000):
            return False
        self.looked = now
        return True

    def expired(self, wall: float) -> bool:
        """Whether the job could have started long ago and no service node has taken any of it."""
        if not self.row.changing or self.row.started is not None or self.row.ready is None:
            return False
        return wall - self.row.ready > self.job_start_s


def todo(found: FreeNode) -> Todo:
    """A free node with its last hop added to what was tried."""
    tried = read_tried(found.tried)
    blameless = found.error == UNSENT and found.binds < MOST_BINDS
    if found.state == NodeState.HOPPED and found.sn and not blameless:
        tried = (*tried, Tried(found.sn, found.text or "failed"))
    return Todo(found.node, found.pool, tried, found.issued, found.error)
