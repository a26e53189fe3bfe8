"""Draining a member: its work goes on elsewhere, what it has it ends, and it comes back cleanly."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell
from jobstage import JobStage
from stage import Stage

from core.lease import Lease
from core.power import Action
from db import drains, events
from db.engine import open_engine, reading
from drivers import leases

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-6] groups=compute servicenode=sn1,sn2
chdef -t group -o compute mgt=ipmi bmcusername=ADMIN bmcpassword=ADMIN bmc=|n(\\\\d+)|127.1.0.($1)|
"""


# -- the supervisor ------------------------------------------------------------------------------------


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    made = Stage(open_engine(database_url))
    made.turn(4)
    yield made
    made.check()


def told(stage: Stage, number: int) -> list[tuple[str, str]]:
    with reading(stage.engine) as connection:
        return [(line.kind, line.message) for line in events.of_job(connection, number)]


def test_new_work_goes_to_the_next_member_with_the_reason(stage: Stage) -> None:
    stage.drain("sn1")
    number = stage.submit(Action.ON, {"n1": "sn1,sn2"})
    stage.settle(10)
    assert [one.sn for one in stage.bmcs.log] == ["sn2"]
    assert ("hop", "sn1 passed over: drained by root: disk swap → sn2") in told(stage, number)


def test_what_it_has_not_claimed_is_given_back(stage: Stage) -> None:
    stage.sns["sn1"].consumes = False
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2"})
    stage.bmcs.powered["n1"] = True
    stage.turn(2)
    assert {parcel.sn for parcel in stage.broker} == {"sn1"}
    stage.drain("sn1")
    stage.settle(10)
    assert [one.sn for one in stage.bmcs.log] == ["sn2"]
    assert any(kind == "fence" and "drained by root" in text for kind, text in told(stage, number))


def test_what_it_has_claimed_it_ends(stage: Stage) -> None:
    number = stage.submit(Action.ON, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.deliver_all()
    stage.sns["sn1"].run(2)
    stage.drain("sn1")
    stage.settle(10)
    assert [one.sn for one in stage.bmcs.log] == ["sn1"]
    assert stage.outcome(number) == "ok"


def test_when_all_are_drained_the_nodes_say_so(stage: Stage) -> None:
    stage.drain("sn1")
    stage.drain("sn2")
    number = stage.submit(Action.ON, {"n1": "sn1,sn2"})
    stage.settle(10)
    assert stage.outcome(number) == "unreached"
    assert stage.bmcs.log == []


def test_it_comes_back_at_once(stage: Stage) -> None:
    stage.drain("sn1")
    stage.turn(2)
    assert stage.undrain("sn1")
    stage.submit(Action.ON, {"n1": "sn1,sn2"})
    stage.settle(10)
    assert [one.sn for one in stage.bmcs.log] == ["sn1"]


# -- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def shell(home_env: dict[str, str], redis_url: str, tmp_path: Path) -> Iterator[Shell]:
    """Three members that beat: mn1, sn1, sn2."""
    made = Shell({**home_env, "SERVAL_BROKER": redis_url}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    JobStage(open_engine(home_env["SERVAL_DATABASE"]), tmp_path / "keys")
    stop = threading.Event()

    def beat() -> None:
        number = 0
        with leases.connect(redis_url) as client:
            while not stop.wait(0.1):
                number += 1
                for name in ("mn1", "sn1", "sn2"):
                    role = "mn" if name == "mn1" else "sn"
                    leases.publish(
                        client, Lease(name=name, beat=number, boot="b", release="0.1.0", role=role)
                    )

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    yield made
    stop.set()
    thread.join(timeout=5)


def drained(shell: Shell) -> dict[str, str]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return drains.drained(connection)


def test_a_member_is_drained_and_shown_and_put_back(shell: Shell) -> None:
    assert shell.ok("serval sn drain sn1 --reason 'disk swap'").startswith("sn1 is drained")
    shown = shell.ok("serval sn")
    (line,) = (line for line in shown.splitlines() if line.startswith("sn1 "))
    assert line.split()[2] == "drained"
    assert line.endswith("drained by tester: disk swap")
    assert shell.ok("rpower compute on --plan").startswith(
        "sn2: 6 nodes: n[1-6] (sn1: drained by tester: disk swap)"
    )
    assert shell.ok("serval sn undrain sn1") == "sn1 gets work again\n"
    assert shell.ok("rpower compute on --plan") == "sn1: 6 nodes: n[1-6]\n"
    answer = shell.run("serval sn undrain sn1")
    assert (answer.status, answer.err) == (1, "Error: sn1 is not drained; nobody is\n")


def test_the_last_one_is_drained_by_force_alone(shell: Shell) -> None:
    shell.ok("serval sn drain sn1")
    answer = shell.run("serval sn drain sn2")
    assert answer.status == 1
    assert "no other live member would be left for 6 nodes: n[1-6]. Nothing was changed" in answer.err
    assert list(drained(shell)) == ["sn1"]
    answer = shell.run("serval sn drain sn2 --force")
    assert (answer.status, answer.err) == (
        0, "Warning: no other live member is left for 6 nodes: n[1-6]\n"
    )  # fmt: skip
    assert list(drained(shell)) == ["sn1", "sn2"]


def test_without_redis_force_is_needed(shell: Shell) -> None:
    deaf = Shell({**shell.env, "SERVAL_BROKER": "redis://127.0.0.1:1/0"}, shell.cwd)
    assert deaf.run("serval sn drain sn1").status == 1
    assert drained(shell) == {}
    answer = deaf.run("serval sn drain sn1 --force")
    assert answer.status == 0
    assert "nobody can be judged" in answer.err
    assert list(drained(shell)) == ["sn1"]


def test_strangers_and_odd_reasons_are_refused(shell: Shell) -> None:
    answer = shell.run("serval sn drain nosuch")
    assert (answer.status, answer.err) == (1, "Error: nosuch is no member; these are: mn1, sn1, sn2\n")
    assert "one line" in shell.call("serval", ["sn", "drain", "sn1", "--reason", "a\nb"]).err
    assert drained(shell) == {}
