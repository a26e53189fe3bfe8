"""Chains as rows, on both databases: real definitions, the real supervisor, Celery's database back end.

Service nodes answer through `jobstage`. A management node that is killed is one whose runner raises in the
middle of a turn and is replaced by another.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from commands import Shell
from jobstage import JobStage
from sqlalchemy import func, select, update

from core.errors import NoderangeError, RequestError, UnavailableError
from core.jobresult import JobFailed, JobResult, from_told
from core.states import Outcome
from core.stepspec import WAIT, read_call, refused
from db import jobs, steps
from db.attempts import Final, Hop
from db.engine import Engine, open_engine, reading, writing
from db.home import Home, open_home
from db.jobtables import job
from db.steptables import step
from tasks import submission
from tasks.announce import Announcer
from tasks.app import create_app
from tasks.chains import ChainRunner
from tasks.results import Results
from tasks.submission import Asking, Call

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-6] groups=compute servicenode=sn1,sn2
chdef -t group -o compute mgt=ipmi bmcusername=ADMIN bmcpassword=ADMIN bmc=|n(\\\\d+)|127.1.0.($1)|
"""


class Killed(BaseException):
    """The management node ends here."""


class Cluster:
    """Definitions, a stage, the app, and a management node that can be killed."""

    def __init__(self, shell: Shell, keys: Path) -> None:
        self.shell = shell
        self.engine: Engine = open_engine(shell.env["SERVAL_DATABASE"])
        self.home: Home = open_home(shell.env)
        self.stage = JobStage(self.engine, keys)
        self.app: Celery = create_app(self.home, publisher=True)
        self.results = Results(self.app)
        self.now = 1_700_000_000.0
        self.dies_at: Iterator[bool] = itertools.repeat(False)
        self.runner = self.boot()

    def boot(self) -> ChainRunner:
        audience = Announcer(self.app, self.engine, "supervisor-1", "mn1")
        return ChainRunner(self.engine, self.home, self._store, audience, lambda: None, lambda: self.now)

    def _store(self, request: str, result: JobResult) -> None:
        """Store; the management node may be killed just before or just after."""
        if next(self.dies_at):
            raise Killed
        self.results.store(request, result)
        if next(self.dies_at):
            raise Killed

    def ask(self, *calls: tuple[str, str, tuple[str, ...], dict[str, object]]) -> list[str]:
        """A chain of (request, command, arguments, options)."""
        asking = Asking(self.engine, self.home, "tester", self.now, submission.refuse_files)
        chain = [
            Call(request, read_call(command, args, kwargs, first=place == 0))
            for place, (request, command, args, kwargs) in enumerate(calls)
        ]
        submission.submit(asking, chain)
        return [call.request for call in chain]

    def turn(self, answering=None) -> None:  # type: ignore[no-untyped-def]
        """Everybody does what he has to do; a management node that dies is started again."""
        self.now += 1
        if answering:
            self.stage.serve(answering)
        else:
            self.stage.serve()
        try:
            self.runner.turn()
        except Killed:
            self.runner = self.boot()

    def settle(self, answering=None) -> None:  # type: ignore[no-untyped-def]
        for _ in range(40):
            self.turn(answering)
            with reading(self.engine) as connection:
                if not steps.open_steps(connection):
                    return
        raise AssertionError("the chain does not end")

    def result(self, request: str) -> JobResult:
        """What a program would get."""
        found = self.app.AsyncResult(request)
        try:
            return from_told(found.get(timeout=0.1))
        except JobFailed as failed:
            assert found.state == "FAILURE"
            return failed.result

    def states(self) -> list[str]:
        with reading(self.engine) as connection:
            return list(connection.scalars(select(step.c.state).order_by(step.c.position)))

    def job_count(self) -> int:
        with reading(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(job)) or 0


@pytest.fixture
def cluster(home_env: dict[str, str], tmp_path: Path) -> Cluster:
    """Six nodes behind two service nodes; nobody speaks to the Redis that is named."""
    shell = Shell({**home_env, "SERVAL_BROKER": "redis://127.0.0.1:1/0"}, tmp_path)
    for line in CLUSTER.splitlines():
        shell.ok(line)
    return Cluster(shell, tmp_path / "keys")


BOOT = (
    ("a", "rsetboot", ("n[1-4]", "net"), {}),
    ("b", "rpower", ("reset",), {}),
    ("c", "rpower", ("stat",), {}),
)


def n2_fails(_sn: str, node: str) -> Final | Hop:
    return Final(node, Outcome.ERROR, "no", "BmcRefused") if node == "n2" else Final(node, Outcome.OK, "on")


def test_each_step_gets_the_nodes_that_the_step_before_left_ok(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    assert cluster.states() == ["started", "waiting", "waiting"]
    assert cluster.job_count() == 1
    cluster.settle(n2_fails)
    assert cluster.states() == ["done"] * 3
    assert cluster.result("a").failed == ["n2"]
    assert str(cluster.result("a")) == "3 ok; 1 error: n2: no"
    for request in ("b", "c"):
        assert cluster.result(request).ok == ["n1", "n3", "n4"]
        assert cluster.result(request).well
    with reading(cluster.engine) as connection:
        found = jobs.by_request(connection, "b")
        assert found is not None
        assert (found.label, found.who) == ("rpower n[1,3-4] reset", "tester")


@pytest.mark.parametrize("point", range(8))
def test_a_management_node_killed_at_any_point_starts_nothing_twice(cluster: Cluster, point: int) -> None:
    cluster.ask(*BOOT)
    cluster.dies_at = itertools.chain((number == point for number in range(8)), itertools.repeat(False))
    cluster.settle()
    assert cluster.states() == ["done"] * 3
    assert cluster.job_count() == 3
    assert all(cluster.result(request).well for request in "abc")


def test_two_management_nodes_start_nothing_twice(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    others = [cluster.boot(), cluster.boot()]
    for _ in range(8):
        cluster.turn()
        for other in others:
            other.turn()
    assert cluster.job_count() == 3
    assert cluster.states() == ["done"] * 3


def test_the_same_chain_asked_twice_is_one_chain(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    cluster.ask(*BOOT)
    cluster.settle()
    cluster.ask(*BOOT)
    assert cluster.job_count() == 3


def test_without_a_node_left_the_rest_is_dropped_with_the_reason(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    cluster.settle(lambda _sn, node: Final(node, Outcome.ERROR, "no", "BmcRefused"))
    assert cluster.states() == ["done", "dropped", "dropped"]
    assert cluster.job_count() == 1
    for request in ("b", "c"):
        found = cluster.result(request)
        assert (found.job, found.nodes, found.well) == (None, {}, False)
        assert found.note == "no node was left ok by rsetboot: 0 ok; 4 error: n[1-4]: no"


def test_a_cancelled_chain_ends_with_the_step_that_runs(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    with writing(cluster.engine) as connection:
        assert steps.chain_of(connection, "b") == "a"
        assert steps.cancel(connection, "a", WAIT, refused("cancelled by ann")) == ["rpower", "rpower"]
    cluster.settle()
    assert cluster.states() == ["done", "dropped", "dropped"]
    assert cluster.result("a").well, "a job that runs is cancelled as a job"
    assert cluster.result("b").note == cluster.result("c").note == "cancelled by ann"
    assert cluster.job_count() == 1


def test_a_cancelled_wait_is_over_at_once(cluster: Cluster) -> None:
    cluster.ask(("a", "wait_for", ("n[1-2]", "booted"), {}), ("b", "rpower", ("stat",), {}))
    cluster.turn()
    with writing(cluster.engine) as connection:
        assert steps.cancel(connection, "a", WAIT, refused("cancelled by ann")) == ["wait_for", "rpower"]
    cluster.turn()
    assert cluster.states() == ["dropped", "dropped"]
    assert cluster.result("a").note == "cancelled by ann"


def test_serval_cancel_ends_a_job_with_its_chain(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    said = cluster.shell.run("serval cancel 1")
    assert (said.status, "2 steps of its chain go on" in said.err) == (0, True)
    said = cluster.shell.run("serval cancel 1 --chain")
    assert said.out == "2 steps of its chain are cancelled: rpower, rpower\n"
    cluster.settle()
    assert cluster.states() == ["done", "dropped", "dropped"]
    assert "cancelled by tester" in cluster.result("c").note
    again = cluster.shell.run("serval cancel 1 --chain")
    assert again.status == 1
    assert again.err == "job 1 was over already: 4 cancelled; nothing of its chain is left\n"


def test_a_later_step_may_name_its_own_nodes(cluster: Cluster) -> None:
    cluster.ask(("a", "rpower", ("n1", "on"), {}), ("b", "rpower", ("n[5-6]", "stat"), {}))
    cluster.settle()
    assert cluster.result("b").ok == ["n5", "n6"]


def test_nodes_that_are_gone_when_a_step_begins_end_the_chain(cluster: Cluster) -> None:
    cluster.ask(("a", "rpower", ("n1", "on"), {}), ("b", "rpower", ("n6", "stat"), {}))
    cluster.shell.ok("rmdef -t node n6")
    cluster.settle()
    assert cluster.states() == ["done", "dropped"]
    assert "n6" in cluster.result("b").note


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ((("a", "rpower", ("nosuch", "on"), {}),), NoderangeError),
        ((("a", "rpower", ("n1", "on"), {}), ("b", "rpower", ("nosuch", "on"), {})), NoderangeError),
        ((("a", "rpower", ("n1,-n1", "on"), {}),), NoderangeError),
        ((("a", "rpower", ("^/etc/passwd", "on"), {}),), RequestError),
    ],
)
def test_what_is_wrong_anywhere_leaves_nothing_behind(
    cluster: Cluster, calls: tuple[tuple[str, str, tuple[str, ...], dict[str, object]], ...], error: type
) -> None:
    with pytest.raises(error):
        cluster.ask(*calls)
    assert cluster.job_count() == 0
    assert cluster.states() == []


def test_a_wait_asks_again_until_the_nodes_are_on(cluster: Cluster) -> None:
    is_on = {"n1"}

    def state(_sn: str, node: str) -> Final:
        return Final(node, Outcome.OK, "on" if node in is_on else "off")

    cluster.ask(("a", "wait_for", ("n[1-3]", "on"), {"timeout": 100, "interval": 2}))
    for _ in range(12):
        cluster.turn(state)
    assert cluster.states() == ["started"]
    asked = cluster.job_count()
    assert 3 <= asked <= 6
    with reading(cluster.engine) as connection:
        newest = jobs.recent(connection, 1)[0]
        assert newest.size == 2
    is_on.update({"n2", "n3"})
    cluster.runner = cluster.boot()
    cluster.settle(state)
    assert cluster.result("a").ok == ["n1", "n2", "n3"]


def test_a_wait_that_is_over_names_who_is_missing(cluster: Cluster) -> None:
    cluster.ask(
        ("a", "wait_for", ("n[1-2]", "on"), {"timeout": 8, "interval": 2}), ("b", "rpower", ("stat",), {})
    )
    cluster.settle(lambda _sn, node: Final(node, Outcome.OK, "off" if node == "n2" else "on"))
    assert str(cluster.result("a")) == "1 ok; 1 error: n2: not on after 8 s: off"
    assert cluster.result("b").ok == ["n1"]


def test_a_wait_for_any_other_word_looks_at_the_status_of_nodes(cluster: Cluster) -> None:
    cluster.ask(("a", "wait_for", ("n[1-2]", "booted"), {"interval": 1}))
    cluster.turn()
    assert cluster.states() == ["started"]
    cluster.shell.ok("chdef -t node -o n1,n2 status=booted")
    cluster.settle()
    assert cluster.result("a").ok == ["n1", "n2"]
    assert cluster.job_count() == 0


def test_a_node_that_fails_on_its_way_is_waited_for_no_longer(cluster: Cluster) -> None:
    cluster.ask(("a", "wait_for", ("n[1-2]", "booted"), {"interval": 1}), ("b", "rpower", ("stat",), {}))
    cluster.turn()
    cluster.shell.ok("chdef -t node -o n1 status=failed")
    cluster.shell.ok("chdef -t node -o n2 status=netbooting")
    cluster.turn()
    assert cluster.states() == ["started", "waiting"]
    cluster.shell.ok("chdef -t node -o n2 status=booted")
    cluster.settle()
    assert str(cluster.result("a")) == "1 ok; 1 error: n1: not booted: failed"
    assert cluster.result("b").ok == ["n2"]


def test_a_refused_message_is_told_to_the_whole_chain(cluster: Cluster) -> None:
    submission.refuse(
        cluster.engine, [("a", "rpower"), ("b", "wait_for")], "the noderange names no node", 1.0
    )
    cluster.settle()
    assert cluster.states() == ["dropped", "dropped"]
    assert {cluster.result(request).note for request in "ab"} == {"the noderange names no node"}


def test_a_chain_that_cannot_be_taken_further_holds_up_no_other(cluster: Cluster) -> None:
    cluster.ask(("a", "rpower", ("n1", "on"), {}))
    cluster.ask(("b", "rpower", ("n2", "on"), {}))
    with writing(cluster.engine) as connection:
        connection.execute(update(step).where(step.c.request == "a").values(command="wait_for", data="{"))
    for _ in range(4):
        cluster.turn()
    assert cluster.result("b").ok == ["n2"]
    assert sorted(cluster.states()) == ["done", "started"]


def test_old_steps_are_forgotten_and_open_ones_are_not(cluster: Cluster) -> None:
    cluster.ask(*BOOT)
    assert steps.prune(cluster.engine, cluster.now + 1e6) == 0
    cluster.settle()
    assert steps.prune(cluster.engine, 1.0) == 0
    assert steps.prune(cluster.engine, cluster.now + 1e6) == 3
    assert cluster.states() == []


def test_a_database_that_is_gone_is_unavailable(cluster: Cluster, tmp_path: Path) -> None:
    gone = ChainRunner(
        open_engine(f"sqlite:///{tmp_path / 'no' / 'such.db'}"),
        cluster.home,
        cluster.results.store,
        Announcer(cluster.app, cluster.engine, "s", "mn1"),
        lambda: None,
        lambda: 0.0,
    )
    with pytest.raises(UnavailableError):
        gone.turn()
