"""nodelist.status follows what rpower sent and BMCs accepted: xCAT's powering-on and powering-off."""

import time
from pathlib import Path

import pytest
from commands import Shell
from jobstage import JobStage

from core.power import Action
from core.states import Outcome
from db import attempts, jobs
from db.attempts import Claimed, Final, Hop, Report
from db.engine import open_engine, writing
from routing.asking import Asked, new_job

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-6] groups=compute servicenode=sn1,sn2 status=booted
chdef -t group -o compute mgt=ipmi bmcusername=ADMIN bmcpassword=ADMIN bmc=|n(\\\\d+)|127.1.0.($1)|
"""


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    made = Shell(home_env, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


@pytest.fixture
def stage(shell: Shell, tmp_path: Path) -> JobStage:
    return JobStage(open_engine(shell.env["SERVAL_DATABASE"]), tmp_path / "keys")


def begun(shell: Shell, stage: JobStage, action: Action) -> Claimed:
    """A job of which sn1 has claimed all nodes."""
    nodes = [f"n{number}" for number in range(1, 7)]
    with writing(stage.engine) as connection:
        asked = Asked(f"request {action}", "rpower", action, nodes, f"rpower {action}", "tester")
        jobs.enter(connection, new_job(connection, asked, "mn1"), time.time())
    return stage.claim("sn1")


def say(stage: JobStage, held: Claimed, *answers: Final | Hop, last: bool = False, **issued: str) -> None:
    """Mark nodes, then report what became of them."""
    finals = [one for one in answers if isinstance(one, Final)]
    hops = [one for one in answers if isinstance(one, Hop)]
    with writing(stage.engine) as connection:
        attempts.write(connection, held, Report(requests=issued), time.time())
        attempts.write(connection, held, Report(finals, hops, last=last), time.time())


def ok(*nodes: str) -> list[Final]:
    return [Final(node, Outcome.OK, "") for node in nodes]


def statuses(shell: Shell) -> list[str]:
    lines = shell.ok("nodels compute nodelist.status").splitlines()
    return [line.partition(": ")[2] for line in lines]


@pytest.mark.parametrize(
    ("action", "word", "status"),
    [
        (Action.ON, "on", "powering-on"),
        (Action.BOOT, "reset", "powering-on"),
        (Action.CYCLE, "cycle", "powering-on"),
        (Action.OFF, "off", "powering-off"),
        (Action.SOFTOFF, "softoff", "powering-off"),
        (Action.NMI, "nmi", "booted"),
    ],
)
def test_what_was_sent_and_accepted_is_the_status(
    shell: Shell, stage: JobStage, action: Action, word: str, status: str
) -> None:
    """n3 was so already, n4 refused, n5 did not answer, n6 was lost: theirs stays."""
    held = begun(shell, stage, action)
    others = [
        *ok("n3"),
        Final("n4", Outcome.ERROR, "no", "BmcRefused"),
        Hop("n5", "silent", "BmcSilent"),
        Final("n6", Outcome.UNKNOWN, "lost"),
    ]
    say(stage, held, *ok("n1", "n2"), *others, last=True, **dict.fromkeys(("n1", "n2", "n4", "n6"), word))
    assert statuses(shell) == [status, status, "booted", "booted", "booted", "booted"]
    told = shell.ok("nodels n1 nodelist.statustime").partition(": ")[2].strip()
    assert bool(told) == (status != "booted")


def test_it_is_told_when_silent_bmcs_are_left_and_at_the_end(shell: Shell, stage: JobStage) -> None:
    """What a node says in between is not overwritten at the end."""
    held = begun(shell, stage, Action.ON)
    say(stage, held, *ok("n1"), n1="on")
    assert statuses(shell)[0] == "booted"
    with writing(stage.engine) as connection:
        attempts.tell_status(connection, held, time.time())
        attempts.release(connection, held.id, time.time() + 10)
    assert statuses(shell)[:2] == ["powering-on", "booted"]
    shell.ok("chdef n1 status=netbooting")
    with writing(stage.engine) as connection:
        attempts.write(connection, held, Report(requests={"n2": "on"}), time.time())
        late = time.time() + 20
        attempts.write(connection, held, Report(ok("n2", "n3", "n4", "n5", "n6"), last=True), late)
    assert statuses(shell)[:3] == ["netbooting", "powering-on", "booted"]


def test_the_site_may_say_that_nothing_is_written(shell: Shell, stage: JobStage) -> None:
    shell.ok("chdef -t site clustersite nodestatus=n")
    held = begun(shell, stage, Action.ON)
    nodes = [f"n{number}" for number in range(1, 7)]
    say(stage, held, *ok(*nodes), last=True, **dict.fromkeys(nodes, "on"))
    assert statuses(shell) == ["booted"] * 6
