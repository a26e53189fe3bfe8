"""A cluster on a virtual clock: real supervisors, database rows, gate and authority; no thread and no socket.

A service node's threads are generators: each `yield` is a place where the process may be paused, frozen or
killed. The broker is a list of parcels. BMCs count what they execute.
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import delete, select

from core.errors import UnavailableError
from core.jobspec import JobSpec, Pace, from_text
from core.lease import Lease, Reading
from core.power import Action, Done, Refuse, changes_state, decide
from core.states import JobState, NodeState, Outcome
from db import attempts, drains, jobs
from db.attempts import Report
from db.engine import Connection, Engine, reading, writing
from db.jobtables import attempt, drain, event, job, job_node, pacing, supervisor
from drivers.bmc.contract import Reply, Verdict
from routing.authority import Authority
from routing.held import Held
from routing.liveness import Kind
from routing.supervisor import Parcel, Supervisor

SILENT_DEADLINE_S = 3.0
BEAT_S = 0.5
TURN_S = 0.25
#: Said here once more, so that a slip in core/power.py is seen.
ONCE = frozenset({"reset", "cycle", "nmi", "suspend", "wake"})
Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Executed:
    """One command that a BMC carried out."""

    at: float
    job: int
    node: str
    word: str
    attempt: int
    sn: str


@dataclass
class Bmcs:
    """All BMCs; `silent` and `mute` hold (service node, node)."""

    powered: dict[str, bool] = field(default_factory=dict)
    #: Hears nothing from that service node.
    silent: set[tuple[str, str]] = field(default_factory=set)
    #: Does what it is told, and its answer is lost.
    mute: set[tuple[str, str]] = field(default_factory=set)
    log: list[Executed] = field(default_factory=list)
    #: (job, node) for which nothing had to be sent.
    needless: set[tuple[int, str]] = field(default_factory=set)

    def counts(self) -> Counter[tuple[int, str]]:
        """How often something that must not be repeated was executed, by job and node."""
        return Counter((one.job, one.node) for one in self.log if one.word in ONCE)


class Conversation:
    """One batch in a driver: contract.Batch, stepped by hand."""

    def __init__(self, sn: "ServiceNode", held: Held, action: Action) -> None:
        self.sn, self.held, self.action = sn, held, action
        self.steps: dict[str, Steps] = {node: self._talk(node) for node in sorted(held.claimed.nodes)}
        self.allowed: set[str] = set()
        self.sent: dict[str, str] = {}
        self.slow: set[str] = set()

    def permit(self, nodes: Collection[str]) -> None:
        self.allowed.update(nodes)

    def refuse(self, nodes: Collection[str]) -> None:
        for node in nodes:
            self._end(node, Verdict.DROPPED)

    def abandon(self) -> None:
        for node in list(self.steps):
            self._end(node, Verdict.LOST if node in self.sent else Verdict.DROPPED)

    def _end(self, node: str, verdict: Verdict, text: str = "") -> None:
        if self.steps.pop(node, None) is not None:
            error = "" if verdict is Verdict.OK else "BmcSilent"
            self.held.reply(Reply(node, verdict, text or verdict, error, self.sent.get(node, "")))

    def step(self, node: str) -> None:
        with suppress(StopIteration):
            next(self.steps[node])

    def _silence(self, node: str) -> Steps:
        until = self.sn.stage.now + SILENT_DEADLINE_S
        self.slow.add(node)
        while self.sn.stage.now < until:
            yield

    def _talk(self, node: str) -> Steps:
        stage, way = self.sn.stage, (self.sn.name, node)
        if way in stage.bmcs.silent:
            yield from self._silence(node)
            return self._end(node, Verdict.WAY, "BMC did not answer")
        decided = decide(self.action, stage.bmcs.powered.get(node, False))
        yield
        if isinstance(decided, Refuse):
            return self._end(node, Verdict.NODE, decided.reason)
        if isinstance(decided, Done):
            stage.bmcs.needless.add((self.held.claimed.job, node))
            return self._end(node, Verdict.OK, decided.value)
        self.held.request(node, decided.control.value)
        while node not in self.allowed:
            if way in stage.bmcs.silent:
                yield from self._silence(node)
                return self._end(node, Verdict.WAY, "BMC fell silent")
            yield
        if not self.held.may_send(node):
            return self._end(node, Verdict.DROPPED)
        self._send(
            node, decided.control.value
        )  # the same moment as the look: the window is named in the docs
        yield
        if way in stage.bmcs.mute:
            yield from self._silence(node)
            return self._end(node, Verdict.LOST, "no answer")
        return self._end(node, Verdict.OK, decided.value)

    def _send(self, node: str, word: str) -> None:
        stage, claimed = self.sn.stage, self.held.claimed
        stage.check_permission(claimed.id, claimed.job, node)
        self.sent[node] = word
        stage.bmcs.log.append(Executed(stage.now, claimed.job, node, word, claimed.id, self.sn.name))
        if word in ("on", "off"):
            stage.bmcs.powered[node] = word == "on"


class ServiceNode:
    """One sending process with its keeper. Killed, it never steps again; frozen, not until thawed."""

    def __init__(self, stage: "Stage", name: str, boot: str) -> None:
        self.stage, self.name, self.boot = stage, name, boot
        self.alive, self.frozen, self.leased, self.database = True, False, True, True
        #: Whether its worker takes messages; the keeper's lease says nothing about that.
        self.consumes = True
        #: The next report is written, but its confirmation is lost.
        self.blind = False
        self.authority = Authority()
        self.works: dict[int, Held] = {}
        self.talks: dict[int, Conversation] = {}
        self.threads: list[Steps] = []
        self.writer: Steps | None = None
        self.beater: Steps | None = None
        self.lease_beat, self.last_beat = 0, 0.0

    @property
    def runs(self) -> bool:
        return self.alive and not self.frozen

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if not self.database:
            raise UnavailableError("the database is away")
        with writing(self.stage.engine) as connection:
            yield connection

    def take(self, parcel: Parcel) -> None:
        self.threads.append(self._claim(parcel.attempt))

    def actions(self) -> list[Callable[[], None]]:
        """What this process could do next."""
        found: list[Callable[[], None]] = [lambda t=thread: self._advance(t) for thread in self.threads]
        if self.writer or any(held.waiting or held.idle for held in self.works.values()):
            found.append(self._write_step)
        if self.beater or (self.works and self.stage.now - self.last_beat >= BEAT_S):
            found.append(self._beat_step)
        for talk in self.talks.values():
            found += [lambda t=talk, n=node: t.step(n) for node in talk.steps]
        return found

    def micro(self, choice: int) -> None:
        if self.runs and (found := self.actions()):
            found[choice % len(found)]()

    def run(self, rounds: int = 12) -> None:
        """Everything in turn, until only silent BMCs are left or `rounds` are over."""
        for _ in range(rounds):
            for action in self.actions():
                if self.runs:
                    with suppress(KeyError):  # the conversation ended in between
                        action()

    def _advance(self, thread: Steps) -> None:
        try:
            next(thread)
        except StopIteration:
            self.threads.remove(thread)

    def _claim(self, attempt_id: int) -> Steps:
        sent_at = self.stage.now
        yield
        try:
            with self.transaction() as connection:
                claimed = attempts.claim(connection, attempt_id, self.stage.wall())
        except UnavailableError:
            return
        yield
        if claimed is None:
            return
        self.authority.renewed(attempt_id, sent_at)
        held = Held(claimed, lambda: self.authority.holds(attempt_id, self.stage.now), lambda: None)
        action = from_text(claimed.spec).command
        assert isinstance(action, Action)
        talk = Conversation(self, held, action)
        held.batches.append(talk)  # type: ignore[arg-type]
        self.talks[attempt_id] = talk
        self.works[attempt_id] = held
        while attempt_id in self.works and talk.steps.keys() - talk.slow:
            yield
        with suppress(UnavailableError), self.transaction() as connection:
            attempts.release(connection, attempt_id, self.stage.wall())

    def _write_step(self) -> None:
        if self.writer is None:
            ready = [held for held in self.works.values() if held.waiting or held.idle]
            if not ready:
                return
            self.writer = self._write(ready[0])
        try:
            next(self.writer)
        except StopIteration:
            self.writer = None

    def _write(self, held: Held) -> Steps:
        report = held.take()
        if report:
            sent_at = self.stage.now
            yield
            blind, self.blind = self.blind, False
            try:
                with self.transaction() as connection:
                    result = attempts.write(connection, held.claimed, report, self.stage.wall())
                if blind:
                    raise UnavailableError("the connection broke")
            except UnavailableError:
                held.unwritten(report)
                return
            yield
            self._take_result(held, report, result, sent_at)
        if held.idle:
            yield
            with suppress(UnavailableError):
                if not held.dropped:
                    with self.transaction() as connection:
                        attempts.finish(connection, held.claimed.id, self.stage.wall())
                self._forget(held)

    def _take_result(self, held: Held, report: Report, result: attempts.Written, sent_at: float) -> None:
        if not result.alive:
            self._drop(held)
            return
        self.authority.renewed(held.claimed.id, sent_at)
        held.written(report, result.issued)

    def _beat_step(self) -> None:
        if self.beater is None:
            self.beater, self.last_beat = self._beat(), self.stage.now
        try:
            next(self.beater)
        except StopIteration:
            self.beater = None

    def _beat(self) -> Steps:
        sent_at, held = self.stage.now, {n: one for n, one in self.works.items() if not one.dropped}
        if not held:
            return
        yield
        try:
            with self.transaction() as connection:
                alive = attempts.beat(connection, held)
        except UnavailableError:
            return
        yield
        for number, one in held.items():
            if number in alive:
                self.authority.renewed(number, sent_at)
            elif number in self.works:
                self._drop(one)

    def _drop(self, held: Held) -> None:
        self.authority.lost(held.claimed.id)
        held.abandon()

    def _forget(self, held: Held) -> None:
        self.authority.lost(held.claimed.id)
        self.works.pop(held.claimed.id, None)
        self.talks.pop(held.claimed.id, None)


class NoSecrets:
    """Credentials of simulated BMCs; a node whose name begins with x has none."""

    def joined(self, sn: str) -> bool:
        return True

    def resolve(self, nodes: Iterable[str]) -> dict[str, tuple[str, str]]:
        return {node: ("NoBmcAddress", "no BMC address is set") for node in nodes if node.startswith("x")}

    def seal(self, sn: str, job: object, nodes: Iterable[str]) -> str:
        return ""


class Stage:
    """The whole cluster. Faults are attributes; what must always hold is `check`."""

    def __init__(self, engine: Engine, names: Iterable[str] = ("sn1", "sn2", "sn3", "mn1")) -> None:
        self.engine, self.now = engine, 1000.0
        self.bmcs, self.broker = Bmcs(), list[Parcel]()
        self.redis, self.era = True, 0
        self.leases: dict[str, Lease] = {}
        self.sns: dict[str, ServiceNode] = {}
        self.supervisors: list[Supervisor] = []
        self.ended: list[int] = []
        #: What others do while a supervisor is in the middle of a step: one at each look at the clock.
        self.meanwhile: list[Callable[[], None]] = []
        self._outcomes: dict[tuple[int, str], str] = {}
        self._seen: set[int] = set()
        self._numbers = 0
        with writing(engine) as connection:
            for table in (job, job_node, attempt, event, supervisor, pacing, drain):
                connection.execute(delete(table))
        for name in names:
            self.boot(name)
        for _ in range(2):
            self.new_supervisor()

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def clock(self) -> float:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.now

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    # -- people ------------------------------------------------------------------------------------

    def submit(
        self,
        action: Action,
        pools: dict[str, str],
        *,
        supersede: bool = False,
        pace: Pace | None = None,
        spec: str = "",
        request: str = "",
    ) -> int:
        asked = jobs.NewJob(
            request=request or f"request{self.number()}",
            command="rpower",
            spec=spec or JobSpec(action, pace=pace).to_text(),
            label=f"rpower {action}",
            who="root",
            changing=changes_state(action),
            paced=pace is not None,
            pools=pools,
            hopeless={},
        )
        return jobs.submit(self.engine, asked, self.wall(), supersede=supersede)

    def cancel(self, number: int) -> None:
        jobs.cancel(self.engine, number, "root", self.wall())

    def drain(self, name: str) -> None:
        with writing(self.engine) as connection:
            drains.drain(connection, name, "root", "disk swap", self.wall())

    def undrain(self, name: str) -> bool:
        """Whether it was drained."""
        with writing(self.engine) as connection:
            return drains.undrain(connection, name)

    # -- machines ----------------------------------------------------------------------------------

    def boot(self, name: str) -> ServiceNode:
        self.sns[name] = ServiceNode(self, name, f"boot{self.number()}")
        return self.sns[name]

    def new_supervisor(self) -> Supervisor:
        made = Supervisor(
            name=f"supervisor{self.number()}",
            engine=self.engine,
            credentials=NoSecrets(),
            publish=self._publish,
            clock=self.clock,
            wall=self.wall,
            on_end=self.ended.append,
        )
        self.supervisors.append(made)
        return made

    def _publish(self, parcel: Parcel) -> bool:
        self._check_pool_order(parcel)
        if self.redis:
            self.broker.append(parcel)
        return True

    def reading(self) -> Reading | None:
        return Reading(str(self.era), dict(self.leases)) if self.redis else None

    def empty_redis(self) -> None:
        self.era += 1
        self.leases.clear()
        self.broker.clear()

    def beat_lease(self, name: str) -> None:
        sn = self.sns[name]
        if self.redis and sn.runs and sn.leased:
            sn.lease_beat += 1
            told = Lease(name=name, beat=sn.lease_beat, boot=sn.boot, database_ok=sn.database)
            self.leases[name] = replace(told, load={"children": 2.0})

    def deliver(self, place: int, *, keep: bool = False) -> None:
        """Give a parcel to its service node; what stays in the broker may be delivered again."""
        parcel = self.broker[place]
        sn = self.sns[parcel.sn]
        if sn.runs and sn.consumes and self.redis:
            if not keep:
                del self.broker[place]
            sn.take(parcel)

    def deliver_all(self) -> None:
        for place in reversed(range(len(self.broker))):
            self.deliver(place)

    def step(self, place: int) -> None:
        self.supervisors[place % len(self.supervisors)].step(self.reading())

    def turn(self, turns: int = 1, resting: Collection[Supervisor] = (), rounds: int = 12) -> None:
        """Every quarter of a second everybody who can does `rounds` steps of each of his threads."""
        for _ in range(turns):
            self.now += TURN_S
            for name in self.sns:
                self.beat_lease(name)
            for one in self.supervisors:
                if one not in resting:
                    one.step(self.reading())
            self.deliver_all()
            for sn in self.sns.values():
                if sn.runs:
                    sn.run(rounds)

    def settle(self, most: int = 400) -> int:
        """Turns until no job is active; AssertionError names what hangs."""
        for count in range(most):
            if not self.active():
                return count
            self.turn()
        raise AssertionError(f"still active: {self.active()} {self.rows()}")

    def heal(self) -> None:
        """All faults end; dead service nodes are started again."""
        self.redis = True
        for name in self.sns:
            self.undrain(name)
        for name, sn in list(self.sns.items()):
            if not sn.alive:
                sn = self.boot(name)
            sn.frozen, sn.leased, sn.database, sn.consumes = False, True, True, True
        if not self.supervisors:
            self.new_supervisor()

    # -- what is known -----------------------------------------------------------------------------

    def active(self) -> list[int]:
        with reading(self.engine) as connection:
            return list(connection.scalars(select(job.c.id).where(job.c.state == JobState.ACTIVE)))

    def rows(self) -> dict[tuple[int, str], tuple[str, str | None, str | None, int | None]]:
        """(job, node) → state, outcome, issued, attempt."""
        columns = (job_node.c.state, job_node.c.outcome, job_node.c.issued, job_node.c.attempt)
        with reading(self.engine) as connection:
            found = connection.execute(select(job_node.c.job_id, job_node.c.node, *columns)).all()
        return {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in found}

    def outcome(self, number: int, node: str = "n1") -> str | None:
        return self.rows()[number, node][1]

    def executed(self, number: int, node: str = "n1") -> list[str]:
        return [one.word for one in self.bmcs.log if (one.job, one.node) == (number, node)]

    # -- what must always hold ---------------------------------------------------------------------

    def check_permission(self, number: int, job_id: int, node: str) -> None:
        """At the moment of sending the database still says that this attempt issues this node."""
        state, _, issued, holder = self.rows()[job_id, node]
        assert (state, holder) == (NodeState.ISSUED, number), (job_id, node, state, holder, number)
        assert issued

    def _check_pool_order(self, parcel: Parcel) -> None:
        """A new attempt goes to the first member that is live and untried (once, when first published)."""
        if parcel.attempt in self._seen:
            return
        self._seen.add(parcel.attempt)
        judge = next(one for one in self.supervisors if parcel.job in one._jobs)
        assert judge.observer.standing(parcel.sn).kind is Kind.LIVE, parcel
        with reading(self.engine) as connection:
            found = connection.execute(
                select(job_node.c.pool, job_node.c.tried).where(job_node.c.attempt == parcel.attempt)
            ).all()
        for pool, tried in found:
            for name in pool.split(","):
                if name == parcel.sn:
                    break
                assert f'"{name}"' in tried or judge.observer.standing(name).kind is not Kind.LIVE, (
                    pool,
                    parcel,
                )
            else:
                raise AssertionError(f"{parcel.sn} is not in {pool}")

    def check(self) -> None:
        rows, counts = self.rows(), self.bmcs.counts()
        assert all(count == 1 for count in counts.values()), counts
        done = {(one.job, one.node) for one in self.bmcs.log}
        for key, (state, outcome, _, _) in rows.items():
            assert (outcome is not None) == (state == NodeState.DONE), (key, state, outcome)
            if key in self._outcomes:
                assert outcome == self._outcomes[key], (key, outcome, self._outcomes[key])
            elif outcome is not None:
                self._outcomes[key] = outcome
            if outcome in (Outcome.CANCELLED, Outcome.UNREACHED, Outcome.ERROR):
                assert key not in done, (key, outcome)
            if outcome == Outcome.OK:
                assert key in done or key in self.bmcs.needless, key
        newest: dict[str, int] = {}
        for one in self.bmcs.log:
            assert newest.get(one.node, 0) <= one.job, (one, newest)
            newest[one.node] = one.job
