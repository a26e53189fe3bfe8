"""A cluster in a box with its database in sight, and what must hold after whatever was done to it."""

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from postgres_server import PostgresServer
from sqlalchemy import select

from cli.cluster import BEATS
from core.errors import UnavailableError
from core.fold import fold
from core.states import JobState, NodeState, Outcome
from db import jobs
from db.engine import Engine, open_engine, reading
from db.jobs import JobInfo, NodeResult
from db.jobtables import event, job_node
from drivers import leases
from lab.box import Box

#: Nothing here may take longer; a job that does hangs.
PATIENCE_S = 60.0
LOOK_S = 0.02

T = TypeVar("T")


@dataclass(slots=True)
class Asked:
    """A command that asked for a job on `nodes` and follows it with --json."""

    process: subprocess.Popen[str]
    job: int
    nodes: Sequence[str]
    action: str
    status: int = -1
    err: str = ""
    #: What it printed, a line each.
    said: list[dict[str, object]] = field(default_factory=list)

    def wait(self, timeout_s: float = PATIENCE_S) -> "Asked":
        """Wait for the command to end by itself; a second call does nothing."""
        if self.status >= 0:
            return self
        try:
            out, self.err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        self.status = self.process.returncode
        self.said = [json.loads(line) for line in out.splitlines()]
        return self


@dataclass(slots=True)
class Rig:
    """The box and the eyes of the tests. Nodes are counted from 1; the first half is compute1."""

    box: Box
    engine: Engine
    #: The server of its database; None on SQLite.
    postgres: PostgresServer | None = None
    #: Other processes' ends must not become zombies of ours.
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def broker(self) -> str:
        """The URL of its Redis."""
        return self.box.broker

    # -- names -------------------------------------------------------------------------------------

    def node(self, number: int) -> str:
        """The name of a node."""
        return f"n{number:0{len(str(self.box.bmcs))}}"

    def address(self, node: str) -> str:
        """The BMC of a node."""
        return self.box.address(int(node[1:]))

    def some(self, number: int) -> list[str]:
        """So many nodes, half of them served by sn1 first and half by sn2."""
        half = self.box.bmcs // 2
        firsts = [*range(1, number // 2 + 1), *range(half + 1, half + 1 + number - number // 2)]
        return [self.node(first) for first in firsts]

    # -- commands ----------------------------------------------------------------------------------

    def ask(self, nodes: Sequence[str], action: str, *options: str, command: str = "rpower") -> Asked:
        """Start rpower, or another command, and return when its job is in the database."""
        before = self._last_job()
        process = self.box.begin(command, fold(nodes), action, "--json", *options)
        self.until(lambda: self._last_job() > before or process.poll() is not None, "the job was not asked")
        assert process.poll() in (None, 0, 1), process.communicate()
        return Asked(process, self._last_job(), nodes, action)

    def quiet(self) -> None:
        """Healthy BMCs that are on, and counters at zero."""
        self.box.control.heal()
        self.box.control.power("all", True)
        self.box.control.reset_counters()

    def up(self) -> subprocess.Popen[str]:
        """Start again what was killed, in the background."""
        words = (word for name in self.box.sns for word in ("--sn", name))
        process = self.box.begin("serval", "up", *words)
        self._started.append(process)
        return process

    def heal(self) -> None:
        """Everything runs again: what was stopped goes on, what was killed is started."""
        for name in ("mn1", *self.box.sns):
            self.box.signal(name, signal.SIGCONT)
        for process in self._started:
            process.communicate(timeout=PATIENCE_S)
        self._started.clear()
        if all(self.box.alive(name) for name in ("mn1", *self.box.sns)):
            self.beating()
        else:
            self.box.up()

    # -- looking -----------------------------------------------------------------------------------

    def _last_job(self) -> int:
        found = self.read(lambda c: jobs.recent(c, 1))
        return found[0].id if found else 0

    def read(self, look: Callable[..., T]) -> T:
        """What `look` finds in the database; a short trouble of the database is waited out."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with reading(self.engine) as connection:
                    return look(connection)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def info(self, job: int) -> JobInfo:
        """A job as it stands."""
        found = self.read(lambda c: jobs.info(c, job))
        assert found is not None
        return found

    def results(self, job: int) -> dict[str, NodeResult]:
        """Node → what became of it, as far as it is final."""
        return {found.node: found for found in self.read(lambda c: jobs.results(c, job))}

    def states(self, job: int) -> dict[str, tuple[str, str | None]]:
        """Node → state and mark of a job."""
        query = select(job_node.c.node, job_node.c.state, job_node.c.issued).where(job_node.c.job_id == job)
        return {row.node: (row.state, row.issued) for row in self.read(lambda c: c.execute(query).all())}

    def events(self, job: int, kind: str) -> list[tuple[str, str]]:
        """Service node and sentence of a job's events of a kind, in order."""
        query = select(event.c.sn, event.c.message).where(event.c.job_id == job, event.c.kind == kind)
        return [(row[0], row[1]) for row in self.read(lambda c: c.execute(query.order_by(event.c.id)).all())]

    def until(self, holds: Callable[[], bool], otherwise: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until something holds; fail with a sentence when it never does."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, otherwise
            time.sleep(LOOK_S)

    def beating(self, names: Iterable[str] = ("mn1", "sn1", "sn2")) -> None:
        """Return when each of these gives new signs of life, as many as the management node wants to see."""
        client = leases.connect(self.broker)
        wanted, first, seen = set(names), {}, set()

        def all_beat() -> bool:
            try:
                found = leases.read_all(client)
            except UnavailableError:
                return False
            for name, lease in found.items():
                if lease.beat >= first.setdefault(lease.boot, lease.beat) + BEATS:
                    seen.add(name)
            return wanted <= seen

        self.until(all_beat, f"no sign of life from {wanted - seen}", 60)

    # -- harm --------------------------------------------------------------------------------------

    def pool_children(self, name: str, *, bulk: bool) -> list[int]:
        """The prefork processes of a worker's queue that do the work: those that Celery started."""
        queue = f"{name}.bulk" if bulk else name
        return self._titled(name, rf"celeryd: {re.escape(queue)}@[^:]*:ForkPoolWorker")

    def celery_mains(self, name: str) -> list[int]:
        """The Celery processes of a worker's queues, without those that they started."""
        return self._titled(name, r"celeryd: .*:MainProcess")

    def workers(self, name: str) -> list[int]:
        """The process that a worker's Celery processes are forks of."""
        return self._titled(name, r"-m tasks\.workers")

    def _titled(self, name: str, title: str) -> list[int]:
        """The processes of a worker whose title, which Celery writes, holds this pattern."""
        found = self.box.processes(name).items()
        return sorted(pid for pid, words in found if re.search(title, " ".join(words)))


def settled(rig: Rig, *asked: Asked, lost: Iterable[str] = (), heard: bool = True) -> None:
    """What must hold after every harm. `lost` names the workers that were really lost in between.

    `heard` is false when the command left before its job was over.
    """
    for one in asked:
        rig.until(lambda one=one: rig.info(one.job).state == JobState.DONE, f"job {one.job} hangs")
        _accounted(rig, one)
        if heard:
            _said(rig, one)
        fenced = {sn for sn, _ in rig.events(one.job, "fence")}
        assert fenced <= set(lost), f"given up although healthy: {fenced - set(lost)}"
    _at_most_once(rig, asked)


def _accounted(rig: Rig, one: Asked) -> None:
    """Every node has exactly one outcome."""
    info, results = rig.info(one.job), rig.results(one.job)
    assert info.ended is not None
    assert set(results) == set(one.nodes)
    assert sum(info.counts.values()) == info.size == len(one.nodes)
    assert "" not in info.counts
    assert {state for state, _ in rig.states(one.job).values()} == {NodeState.DONE}


def _said(rig: Rig, one: Asked) -> None:
    """The command said every outcome once and ended accordingly."""
    results = rig.results(one.job)
    said = Counter((str(line["node"]), str(line["outcome"])) for line in one.said)
    assert said == Counter((node, found.outcome) for node, found in results.items())
    well = all(found.outcome == Outcome.OK for found in results.values())
    assert one.status == (0 if well else 1), one.err
    assert "Traceback" not in one.err


def _at_most_once(rig: Rig, asked: Sequence[Asked]) -> None:
    """No BMC carried out more resets than it was asked for, and every outcome says the truth about it."""
    received, executed = rig.box.control.received("reset"), rig.box.control.executed("reset")
    most: Counter[str] = Counter()
    least: Counter[str] = Counter()
    for one in asked:
        if one.action == "reset":
            for node, found in rig.results(one.job).items():
                least[rig.address(node)] += found.outcome == Outcome.OK
                most[rig.address(node)] += found.outcome in (Outcome.OK, Outcome.UNKNOWN)
    wrong = {
        address: (executed[address], received[address], least[address], most[address])
        for address in executed
        if not least[address] <= executed[address] <= received[address] <= most[address]
    }
    assert not wrong, f"executed, received, at least, at most: {dict(list(wrong.items())[:10])}"


def counts(rig: Rig, one: Asked) -> Counter[str]:
    """How many nodes of a job ended how."""
    return Counter(found.outcome for found in rig.results(one.job).values())


def open_rig(folder: Path, bmcs: int, postgres: PostgresServer | None = None) -> Rig:
    """A started box; the caller stops it."""
    database = postgres.url("box") if postgres else None
    box = Box(folder, bmcs, database=database)
    url = database or f"sqlite:///{box.home / 'serval.db'}"
    try:
        box.start()
    except BaseException:
        box.stop()
        raise
    return Rig(box, open_engine(url), postgres)
