"""Jobs that every member of a pool does: nodeset, makedhcp, services … (DESIGN section 6).

What should be is in the database before the job begins. Each live member of each pool gets one attempt in its
own queue and makes its files match. A node is ok when at least one member of its pool is ready; who is left
behind is named, and catches up when it returns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from core.fold import fold
from core.states import Outcome
from core.syncspec import Mode, SyncSpec
from db import deliveries, events, folding, supervision
from db.deliveries import Delivery
from db.engine import Connection, reading, writing
from db.jobs import NewJob
from db.supervision import Ending
from routing.handout import HandOut
from routing.liveness import Kind
from routing.means import Means, Parcel
from routing.planning import Tried, explain, queue_of
from routing.view import View
from routing.waiting import room
from routing.watched import Watched


@dataclass(frozen=True, slots=True)
class SpreadAsk:
    """Who asks what. Every member of a node's pool acts for it."""

    request: str
    command: str
    label: str
    who: str
    kinds: tuple[str, ...]
    #: node → names of its members, best first.
    pools: Mapping[str, Sequence[str]]
    #: node → what is printed when it is ok.
    texts: Mapping[str, str] = field(default_factory=dict)
    #: node → error class and sentence: these end at once.
    hopeless: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    mode: Mode = Mode.APPLY
    changing: bool = True
    #: As in SyncSpec.
    details: Mapping[str, str] = field(default_factory=dict)
    queue: str = ""
    #: Nothing of what should be has changed: nodes get their rows when they end (db/folding.py).
    unchanged: bool = False


def new_job(ask: SpreadAsk, job_start_s: float = 60.0) -> NewJob:
    """The job as it is to be written, in the transaction that writes what should be."""
    pools = {node: ",".join(members) for node, members in ask.pools.items()}
    folded = folding.groups_of(pools, ask.texts) if ask.unchanged and not ask.hopeless else ()
    spec = SyncSpec(ask.kinds, ask.mode, ask.also, job_start_s, ask.details, ask.queue, folded)
    return NewJob(
        request=ask.request,
        command=ask.command,
        spec=spec.to_text(),
        label=ask.label,
        who=ask.who,
        changing=ask.changing,
        paced=False,
        pools=pools,
        hopeless=ask.hopeless,
        texts=ask.texts,
        folded=bool(folded),
    )


@dataclass(slots=True)
class Share:
    """What one member has to do with the nodes of one job, as its attempts tell."""

    begun: set[str] = field(default_factory=set)
    #: Nodes that it has done, with what it says of them ("" for nothing).
    ready: dict[str, str] = field(default_factory=dict)
    #: Nodes that it could not do, with the sentence.
    troubled: dict[str, str] = field(default_factory=dict)
    #: Why it gets none of the nodes it has not begun with; None: it does, or may.
    absent: str | None = None
    able: bool = False

    def take(self, told: Delivery) -> None:
        """Add one of its attempts."""
        self.begun |= told.nodes
        if not told.over:
            return
        if not (told.failed or told.said.problems or told.said.texts):
            self.ready.update(dict.fromkeys(told.nodes, ""))
            return
        for node in told.nodes:
            problem = told.failed or told.said.problems.get(node)
            if problem:
                self.troubled[node] = problem
            else:
                self.ready[node] = told.said.texts.get(node, "")

    def settled(self, node: str) -> bool:
        """Whether nothing more is to come for this node."""
        return (
            node in self.ready
            or node in self.troubled
            or (node not in self.begun and self.absent is not None)
        )

    def trouble(self, node: str) -> str | None:
        """Why this member is not ready for the node; None when it is."""
        return None if node in self.ready else self.troubled.get(node, self.absent or "")


@dataclass(slots=True)
class Verdict:
    """What became of the nodes that are settled."""

    #: First member that is ready, and what it says → nodes.
    ready: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)
    #: Member and reason → nodes for which others are ready.
    behind: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def settled(self) -> int:
        """How many nodes these are."""
        return len(self.endings) + sum(map(len, self.ready.values()))

    def judge(
        self,
        nodes: Sequence[str],
        members: Sequence[str],
        also: Sequence[str],
        shares: Mapping[str, Share],
    ) -> None:
        """Add nodes with the same pool: those for which every member has spoken or is not there."""
        everybody = list(dict.fromkeys([*members, *also]))
        names = set(nodes)
        if members and all(shares[name].ready.keys() >= names for name in everybody):
            for node in nodes:  # nearly always all are ready, which one look at sets tells
                self.ready.setdefault((members[0], shares[members[0]].ready[node]), []).append(node)
            return
        for node in nodes:
            if not all(shares[name].settled(node) for name in everybody):
                continue
            first = next((name for name in members if node in shares[name].ready), None)
            if first is None:
                self.endings.append(_failed(node, members, shares))
                continue
            self.ready.setdefault((first, shares[first].ready[node]), []).append(node)
            for name in everybody:
                if trouble := shares[name].trouble(node):
                    self.behind.setdefault((name, trouble), []).append(node)


def _failed(node: str, members: Sequence[str], shares: Mapping[str, Share]) -> Ending:
    """Nobody is ready: an error when a member tried, else nobody was there."""
    reasons = [Tried(name, shares[name].trouble(node) or "") for name in members]
    tried = any(node in shares[name].troubled for name in members)
    outcome = Outcome.ERROR if tried else Outcome.UNREACHED
    return Ending(node, outcome, explain(reasons), "NodeError" if tried else "ServiceNodeLost")


class Spread:
    """The part of a supervisor that steps such jobs."""

    def __init__(self, means: Means, hand_out: HandOut) -> None:
        self._means = means
        self._hand_out = hand_out

    def give(self, watched: Watched, sync: SyncSpec, view: View) -> Iterator[Parcel]:
        """End the nodes that are settled; an attempt for every member that has not begun with its share."""
        self._hand_out.look_for_older(watched, view)
        with reading(self._means.engine) as connection:
            told = deliveries.deliveries(connection, watched.row.id)
        shares = self._shares(told)
        also = self._means.members(",".join(sync.also)) if sync.also else []
        wanted: dict[str, list[str]] = {}
        verdict = Verdict()
        pools = watched.pools()
        if pools:
            self._hand_out.could_start(watched)
        for pool, nodes in pools.items():
            members = self._means.members(pool)
            for name in dict.fromkeys([*members, *also]):
                share = self._stand(name, shares)
                fresh = [node for node in nodes if node not in share.begun]
                if fresh and share.able:
                    wanted.setdefault(name, []).extend(fresh)
            verdict.judge(nodes, members, also, shares)
        self._end(watched, verdict)
        for name, nodes in wanted.items():
            if parcel := self._deliver(watched, name, nodes, view):
                yield parcel

    def _shares(self, told: Iterable[Delivery]) -> dict[str, Share]:
        shares: dict[str, Share] = {}
        for one in told:
            shares.setdefault(one.sn, Share()).take(one)
        return shares

    def _stand(self, name: str, shares: dict[str, Share]) -> Share:
        """The member's share, with whether it may be given more."""
        share = shares.setdefault(name, Share())
        standing = self._means.observer.state(name)  # drained or not: it serves what boots from it
        share.able = standing.kind is Kind.LIVE
        # Who is just coming back is waited for: it is live in a moment, or silent again.
        soon = standing.kind is Kind.UNKNOWN or standing.returning
        share.absent = None if share.able or soon else standing.reason
        return share

    def _deliver(self, watched: Watched, name: str, nodes: Sequence[str], view: View) -> Parcel | None:
        """One attempt for all that a member has not begun with; None when its queue has no room now."""
        means, row = self._means, watched.row
        sync = watched.sync
        queue = f"{name}.{sync.queue}" if sync and sync.queue else queue_of(name, row.size)
        if not room(queue, means.children(name), view.attempts):
            return None
        folded = _folded(tuple(nodes))
        with writing(means.engine) as connection:
            if not supervision.hold(connection, row.id, watched.epoch):
                return None
            attempt = deliveries.deliver(connection, row, name, queue, folded, len(nodes), means.wall())
        parcel = Parcel(attempt, row.id, name, queue, folded, row.label, row.command)
        view.add(parcel)
        return parcel

    def _end(self, watched: Watched, verdict: Verdict) -> None:
        settled = verdict.settled()
        if not settled or (watched.folded_since is not None and settled < len(watched.free)):
            return  # folded nodes end together, or else are unfolded soon
        job, now = watched.row.id, self._means.wall()
        with writing(self._means.engine) as connection:
            if not supervision.hold(connection, job, watched.epoch):
                return
            if watched.folded_since is None or not folding.end_folded(connection, job, verdict.ready, now):
                folding.unfold_job(connection, job)
                supervision.end_nodes(connection, job, verdict.endings, self._means.mn, now)
                self._end_ready(connection, watched, verdict, now)
            self._record(connection, job, verdict.behind)
        watched.folded_since = None
        watched.forget([ending.node for ending in verdict.endings])
        for nodes in verdict.ready.values():
            watched.forget(nodes)

    def _end_ready(self, connection: Connection, watched: Watched, verdict: Verdict, now: float) -> None:
        for (name, said), nodes in verdict.ready.items():
            everything = len(nodes) == len(watched.free)
            deliveries.end_ready(connection, watched.row.id, [] if everything else nodes, name, said, now)

    def _record(self, connection: Connection, job: int, behind: Mapping[tuple[str, str], list[str]]) -> None:
        for (name, reason), nodes in behind.items():
            said = f"{name} is left behind, and catches up when it can: {reason}"
            events.record(connection, job, self._means.wall(), "behind", said, sn=name, nodes=nodes)


@lru_cache(maxsize=4)
def _folded(nodes: tuple[str, ...]) -> str:
    """Members of one pool get the same nodes."""
    return fold(nodes)
