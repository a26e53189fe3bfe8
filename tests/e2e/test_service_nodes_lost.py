"""What the loss of a service node, or of a part of one, may cost and what it may not."""

import signal
import time
from pathlib import Path

import pytest
from rig import Asked, Rig, counts, settled

from core.states import NodeState, Outcome
from routing.held import MOST_UNKNOWN

LATENCY_S = 0.04


def under_way(rig: Rig, number: int, done: int = 1) -> Asked:
    """A bulk reset of which so many nodes are done."""
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(rig.some(number), "reset")
    rig.until(lambda: len(rig.results(asked.job)) >= done, "the job does not begin")
    return asked


def stopped(pid: int) -> bool:
    """Whether a process is in the state that SIGSTOP leaves it in."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_killed_in_a_thousand_nodes(rig: Rig) -> None:
    """At most 64 nodes a killed sending process are unknown, and the other service node does the rest."""
    asked = under_way(rig, 1000, done=150)
    sending = len(rig.pool_children("sn1", bulk=True))
    rig.box.signal("sn1", signal.SIGKILL)
    asked.wait()
    settled(rig, asked, lost=["sn1"])
    found = counts(rig, asked)
    assert found[Outcome.UNKNOWN] <= MOST_UNKNOWN * sending
    assert found[Outcome.OK] == 1000 - found[Outcome.UNKNOWN]
    taken_over = [line for line in asked.said if line["outcome"] == "ok" and line["tried"]]
    assert taken_over
    assert {line["sn"] for line in taken_over} == {"sn2"}
    assert rig.events(asked.job, "fence")


def test_who_wakes_up_sends_nothing(rig: Rig) -> None:
    """A frozen service node that is given up sends nothing for nodes that it had not marked before."""
    asked = under_way(rig, 600, done=50)
    rig.box.signal("sn1", signal.SIGSTOP)
    rig.until(lambda: all(map(stopped, rig.box.processes("sn1"))), "sn1 does not stop")
    time.sleep(0.3)  # what had left for the database has arrived
    marked = {
        node
        for node, (state, issued) in rig.states(asked.job).items()
        if issued or state in (NodeState.DONE, NodeState.ISSUED)
    }
    if rig.postgres is not None:
        asked.wait()  # the other service node does it all
    else:
        time.sleep(6)  # who is frozen in a transaction holds up SQLite's one writer until it goes on
    rig.box.signal("sn1", signal.SIGCONT)
    asked.wait()
    settled(rig, asked, lost=["sn1"])
    rig.beating()
    time.sleep(1)  # time enough to do harm
    settled(rig, asked, lost=["sn1"])
    results, received = rig.results(asked.job), rig.box.control.received("reset")
    unmarked = set(asked.nodes) - marked
    assert unmarked
    assert {results[node].outcome for node in unmarked} == {Outcome.OK}
    assert {received[rig.address(node)] for node in unmarked} == {1}
    if rig.postgres is not None:
        assert {results[node].sn for node in unmarked} == {"sn2"}


@pytest.mark.parametrize("part", ["child", "worker", "all workers"])
def test_a_part_of_a_service_node_is_killed(rig: Rig, part: str) -> None:
    """A pool process, Celery's workers or what they are forks of dies: the service node is not given up."""
    asked = under_way(rig, 400, done=20)
    parts = {
        "child": rig.pool_children("sn1", bulk=True),
        "worker": rig.celery_mains("sn1"),
        "all workers": rig.workers("sn1"),
    }
    assert parts[part]
    rig.box.kill(parts[part])
    asked.wait()
    settled(rig, asked, lost=["sn1"])
    assert set(counts(rig, asked)) <= {Outcome.OK, Outcome.UNKNOWN}
    rig.beating()
    rig.quiet()
    again = rig.ask(rig.some(400), "reset").wait()
    settled(rig, again)
    assert again.status == 0
    assert {line["sn"] for line in again.said} == {"sn1", "sn2"}


def test_all_are_lost(rig: Rig) -> None:
    """With no service node left every node says which were tried and why."""
    asked = under_way(rig, 400)
    for name in rig.box.sns:
        rig.box.signal(name, signal.SIGKILL)
    asked.wait()
    settled(rig, asked, lost=rig.box.sns)
    assert asked.status == 1
    print({(line["outcome"], line["message"]) for line in asked.said if line["outcome"] != Outcome.OK})
    unreached = [line for line in asked.said if line["outcome"] == Outcome.UNREACHED]
    assert unreached
    for line in unreached:
        assert all(name in str(line["message"]) for name in rig.box.sns), line["message"]
