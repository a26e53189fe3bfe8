"""The supervisor: one loop that steps every job it is in charge of (docs/architecture.md).

It alone decides which service node gets which nodes, notices that one is lost, and ends jobs. It owns no
thread a job and no truth: all it knows can be read again from the database by the next supervisor. Clock,
leases and publishing are given from outside, so that a model test can drive it step by step.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from core.fold import fold
from core.lease import Reading
from core.states import NodeState
from db import events, supervision
from db.engine import Connection, Engine, reading, writing
from db.pacing import spend
from db.supervision import FREE, Ending, FreeNode, JobRow, OpenAttempt
from routing import verdicts
from routing.beats import LIFE_S, BeatWatch
from routing.liveness import Kind, Liveness, Observer
from routing.planning import Tried, batch_size, choose, queue_of, write_tried
from routing.watched import Todo, Watched

log = logging.getLogger(__name__)

#: A step that comes later than this after the one before may have missed anything.
PAUSE_S = 1.0
#: An attempt that nobody claimed is published again after this many seconds …
REPUBLISH_S = 5.0
#: … and given to the next service node when this one has claimed nothing at all for so long.
CLAIM_S = 10.0
#: Attempts that may wait in the small queue beyond the children that work on it.
SMALL_AHEAD = 8
OWN_BEAT_S = 0.5


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


@dataclass(slots=True)
class View:
    """What one step read from the database, in one snapshot."""

    jobs: list[JobRow]
    supervisors: dict[str, int]
    attempts: list[OpenAttempt]
    hopped: list[FreeNode]
    workless: set[int]


class Supervisor:
    """Steps jobs. `clock` runs on during suspend (seconds), `wall` is the time people read."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        credentials: Credentials,
        publish: Callable[[Parcel], bool],
        clock: Callable[[], float],
        wall: Callable[[], float],
        home_name: str = "mn1",
        on_end: Callable[[int], None] = lambda job: None,
    ) -> None:
        self.name = name
        self.observer = Observer()
        self._engine = engine
        self._credentials = credentials
        self._publish = publish
        self._clock = clock
        self._wall = wall
        self._mn = home_name
        self._on_end = on_end
        self._jobs: dict[int, Watched] = {}
        self._beats = BeatWatch()
        self._peers = BeatWatch()
        self._looked: float | None = None
        self._own_beat = float("-inf")
        self._published: dict[int, float] = {}
        self._claims: dict[str, float] = {}
        self._claimed: set[int] = set()
        self._era = ""

    def step(self, leases: Reading | None) -> None:
        """One turn: look, judge, give away what was lost, hand out what is free, end what is done."""
        self._look_at_leases(leases)
        self._beat_myself()
        view = self._read()
        self._judge(view)
        self._take_over(view)
        for row in view.jobs:
            watched = self._jobs.get(row.id)
            if watched is not None:
                self._step_job(watched, row, view)
        self._publish_again(view)

    def leave(self) -> None:
        """An orderly stop: other supervisors may adopt the jobs at once."""
        with writing(self._engine) as connection:
            supervision.resign(connection, self.name)

    # -- looking ---------------------------------------------------------------------------------

    def _look_at_leases(self, leases: Reading | None) -> None:
        self.observer.saw(self._clock(), leases)
        if leases is not None and leases.era != self._era:
            self._era = leases.era
            self._published.clear()

    def _beat_myself(self) -> None:
        if self._clock() - self._own_beat >= OWN_BEAT_S:
            with writing(self._engine) as connection:
                supervision.enrol(connection, self.name, self._wall())
            self._own_beat = self._clock()

    def _read(self) -> View:
        with reading(self._engine) as connection:
            return View(
                jobs=supervision.active_jobs(connection),
                supervisors=supervision.supervisors(connection),
                attempts=supervision.open_attempts(connection),
                hopped=supervision.free_nodes(connection, self._jobs, [NodeState.HOPPED]),
                workless=supervision.workless(connection),
            )

    def _judge(self, view: View) -> None:
        """Take the beats in; the moment of seeing is after the read, so nobody is given up too soon."""
        now = self._clock()
        if self._looked is not None and now - self._looked > PAUSE_S:
            log.warning("paused for %.1f s; observation begins anew", now - self._looked)
            self._beats.begin_anew(now)
            self._peers.begin_anew(now)
        self._looked = now
        self._beats.look(now, {str(found.id): found.beat for found in view.attempts})
        self._peers.look(now, view.supervisors)
        for found in view.attempts:
            if found.claimed is not None and found.id not in self._claimed:
                self._claimed.add(found.id)
                self._claims[found.queue] = now

    # -- adoption --------------------------------------------------------------------------------

    def _take_over(self, view: View) -> None:
        """Adopt orphans, forget jobs that somebody else took or that ended."""
        now = self._clock()
        active = {row.id: row for row in view.jobs}
        for job_id in list(self._jobs):
            row = active.get(job_id)
            if row is None or row.epoch != self._jobs[job_id].row.epoch:
                del self._jobs[job_id]
        for row in view.jobs:
            owner = row.supervisor
            lost = owner is None or owner not in view.supervisors or self._peers.dead(now, owner)
            if row.id not in self._jobs and (lost or owner == self.name):
                self._adopt(row)

    def _adopt(self, row: JobRow) -> None:
        with writing(self._engine) as connection:
            epoch = supervision.adopt(connection, row, self.name)
            if epoch is None:
                return
            if row.supervisor is not None:
                text = f"{self.name} took the job over from {row.supervisor}"
                events.record(connection, row.id, self._wall(), "adopt", text)
            free = supervision.free_nodes(connection, [row.id], FREE)
        watched = Watched(row, epoch)
        watched.take(free)
        self._jobs[row.id] = watched

    # -- one job ---------------------------------------------------------------------------------

    def _step_job(self, watched: Watched, row: JobRow, view: View) -> None:
        watched.refresh(row)
        attempts = [found for found in view.attempts if found.job == row.id]
        if row.started is None and any(found.claimed is not None for found in attempts):
            self._stamp(watched, "started")
        watched.take(found for found in view.hopped if found.job == row.id)
        for found in attempts:
            if reason := self._lost(found, view):
                self._fence(watched, found, reason)
            elif found.claimed is None and watched.expired(self._wall()):
                self._fence(watched, found, f"{found.sn} did not take it in time")
        if row.id in view.workless:
            self._end_job(watched)
        elif watched.free:
            self._hand_out(watched, view)

    def _lost(self, found: OpenAttempt, view: View) -> str | None:
        """Why this attempt must be given away, or None."""
        now = self._clock()
        if found.claimed is not None:
            silent = self._beats.dead(now, str(found.id))
            return f"{found.sn} gave no beat for {LIFE_S:.0f} s" if silent else None
        standing = self.observer.state(found.sn)
        if standing.kind in (Kind.DEAD, Kind.UNUSABLE):
            return standing.reason
        since = max(self._published.get(found.id, now), self._claims.get(found.queue, 0.0))
        busy = any(
            other.queue == found.queue and other.claimed is not None and other.released is None
            for other in view.attempts
        )
        if standing.kind is Kind.LIVE and not busy and now - since >= CLAIM_S:
            return f"{found.sn} has claimed no work for {CLAIM_S:.0f} s"
        return None

    def _fence(self, watched: Watched, found: OpenAttempt, reason: str) -> None:
        with writing(self._engine) as connection:
            if not supervision.hold(connection, watched.row.id, watched.epoch):
                return
            given = supervision.fence(connection, found, reason, self._wall())
            if given is None:
                return
            unknown, free = given
            for nodes, text in ((unknown, "unknown"), (free, "to the next service node")):
                if nodes:
                    said = f"{reason}: {text}"
                    self._record(connection, watched.row.id, "fence", said, found.sn, nodes, found.id)
        log.warning("job %d attempt %d: %s", watched.row.id, found.id, reason)

    def _end_job(self, watched: Watched) -> None:
        with writing(self._engine) as connection:
            held = supervision.hold(connection, watched.row.id, watched.epoch)
            ended = held and supervision.end_job(connection, watched.row.id, self._wall())
        if ended:
            del self._jobs[watched.row.id]
            self._on_end(watched.row.id)

    def _stamp(self, watched: Watched, name: str) -> None:
        with writing(self._engine) as connection:
            supervision.stamp(connection, watched.row.id, **{name: self._wall()})

    # -- handing out -----------------------------------------------------------------------------

    def _hand_out(self, watched: Watched, view: View) -> None:
        """Give every free node that may start to the first live member of its pool."""
        self._look_for_older(watched, view)
        if watched.expired(self._wall()):
            text = f"not started in time ({watched.spec.job_start_s:.0f} s, site.jobstart)"
            self._end_nodes(watched, verdicts.cancelled(watched.free.values(), text))
            return
        parcels: list[Parcel] = []
        for (pool, tried), nodes in watched.groups().items():
            choice = choose(pool.split(","), tried, self._standing)
            if choice.member is not None:
                member = self.observer.find(choice.member) or choice.member
                parcels += self._bind(watched, member, choice.absent, nodes, view)
            elif not choice.wait:
                self._end_nodes(watched, [verdicts.exhausted(node, choice.absent) for node in nodes])
        self._send(parcels)

    def _look_for_older(self, watched: Watched, view: View) -> None:
        """Which nodes older changing jobs still hold; said once for each such job."""
        older = [row for row in view.jobs if row.changing and row.id < watched.row.id]
        if not watched.row.changing or not older:
            watched.blocked = {}
            return
        if not watched.due(self._clock()):
            return
        with reading(self._engine) as connection:
            watched.blocked = supervision.blocked(connection, watched.row.id)
        for row in older:
            nodes = [node for node, holder in watched.blocked.items() if holder == row.id]
            if nodes and row.id not in watched.announced:
                watched.announced.add(row.id)
                with writing(self._engine) as connection:
                    text = f"waits for job {row.id} ({row.label})"
                    events.record(connection, watched.row.id, self._wall(), "wait", text, nodes=nodes)

    def _standing(self, name: str) -> Liveness:
        found = self.observer.state(name)
        member = self.observer.find(name)
        if found.kind is Kind.LIVE and member and not self._credentials.joined(member):
            return Liveness(Kind.UNUSABLE, f"{member} has not joined: its public key is not in the database")
        return found

    def _room(self, queue: str, member: str, view: View) -> int:
        """How many more attempts may be published to a queue now."""
        lease = self.observer.lease(member)
        children = int(lease.load.get("children", 2)) if lease else 2
        ahead = 1 if queue.endswith(".bulk") else SMALL_AHEAD
        waiting = sum(1 for found in view.attempts if found.queue == queue and found.released is None)
        return max(0, children + ahead - waiting)

    def _bind(
        self, watched: Watched, member: str, absent: tuple[Tried, ...], nodes: list[Todo], view: View
    ) -> list[Parcel]:
        """Attempts on one service node for as many of `nodes` as it has room for."""
        queue = queue_of(member, watched.row.size)
        lease = self.observer.lease(member)
        size = batch_size(len(nodes), int(lease.load.get("children", 2)) if lease else 2)
        parcels: list[Parcel] = []
        room = self._room(queue, member, view)
        for start in range(0, min(len(nodes), size * room), size):
            parcel = self._bind_one(watched, member, queue, absent, nodes[start : start + size])
            if parcel is None:
                break
            parcels.append(parcel)
            view.attempts.append(_just_bound(parcel))
        return parcels

    def _bind_one(
        self,
        watched: Watched,
        member: str,
        queue: str,
        absent: tuple[Tried, ...],
        nodes: list[Todo],
    ) -> Parcel | None:
        """One new attempt, durable before it is published; None when nothing could be bound now."""
        failed = self._credentials.resolve(node.node for node in nodes)
        self._end_nodes(watched, [verdicts.hopeless(n, failed[n.node]) for n in nodes if n.node in failed])
        wanted = {node.node: node for node in nodes if node.node not in failed}
        if not wanted:
            return None
        row, now = watched.row, self._wall()
        with writing(self._engine) as connection:
            if not supervision.hold(connection, row.id, watched.epoch):
                return None
            chosen = self._paced(connection, watched, list(wanted))
            if not chosen:
                return None
            supervision.stamp(connection, row.id, ready=now)
            tried = [(name, write_tried(wanted[name].tried)) for name in chosen]
            attempt, bound = supervision.bind(connection, row, member, queue, tried, now)
            if bound:
                supervision.equip(connection, attempt, self._credentials.seal(member, row, bound))
                if hops := verdicts.hop_text(absent, [wanted[name] for name in bound]):
                    self._record(connection, row.id, "hop", f"{hops} → {member}", member, bound, attempt)
        watched.forget(chosen)
        return Parcel(attempt, row.id, member, queue, fold(bound), row.label) if bound else None

    def _record(
        self,
        connection: Connection,
        job: int,
        kind: str,
        text: str,
        sn: str,
        nodes: Iterable[str],
        attempt: int,
    ) -> None:
        events.record(connection, job, self._wall(), kind, text, sn=sn, nodes=nodes, attempt=attempt)

    def _paced(self, connection: Connection, watched: Watched, nodes: list[str]) -> list[str]:
        pace = watched.pace
        return nodes if pace is None else nodes[: spend(connection, pace, len(nodes), self._wall())]

    def _end_nodes(self, watched: Watched, endings: list[Ending]) -> None:
        if not endings:
            return
        with writing(self._engine) as connection:
            if supervision.hold(connection, watched.row.id, watched.epoch):
                supervision.end_nodes(connection, watched.row.id, endings, self._mn, self._wall())
        watched.forget([ending.node for ending in endings])

    # -- publishing ------------------------------------------------------------------------------

    def _send(self, parcels: Iterable[Parcel]) -> None:
        """Hand attempts to the broker, after their commit; twice is harmless, because the claim decides."""
        sent: list[int] = []
        for parcel in parcels:
            self._published[parcel.attempt] = self._clock()
            if self._publish(parcel):
                sent.append(parcel.attempt)
        if sent:
            with writing(self._engine) as connection:
                supervision.published(connection, sent, self._wall())

    def _publish_again(self, view: View) -> None:
        """What nobody claimed in time, and what a supervisor before us could not publish."""
        now = self._clock()
        late: list[Parcel] = []
        for found in view.attempts:
            watched = self._jobs.get(found.job)
            if watched is None or found.claimed is not None:
                continue
            if now - self._published.get(found.id, float("-inf")) >= REPUBLISH_S:
                late.append(
                    Parcel(found.id, found.job, found.sn, found.queue, found.nodes, watched.row.label)
                )
        self._send(late)


def _just_bound(parcel: Parcel) -> OpenAttempt:
    """The attempt of a parcel as the next read would show it."""
    return OpenAttempt(
        id=parcel.attempt,
        job=parcel.job,
        sn=parcel.sn,
        queue=parcel.queue,
        nodes=parcel.nodes,
        size=0,
        beat=0,
        published=None,
        claimed=None,
        released=None,
    )
