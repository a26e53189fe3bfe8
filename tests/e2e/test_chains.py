"""Jobs from Python on a real cluster: chains, groups, waits; management node killed, Redis emptied."""

import random
import signal
import time
from collections.abc import Callable

import pytest
from programs import collect, program, python
from rig import Rig
from sqlalchemy import func, select

from core.fold import fold
from core.states import Outcome
from db.jobtables import job
from drivers import leases

SEED = 20261122
#: Slow BMCs, so that there is a middle of a chain.
LATENCY_S = 0.03
LENGTH_S = 2.5
NODES = 40

BOOT = """
last = chain(rsetboot.s({nodes!r}, "net"), rpower.s("reset"), wait_for.s("on", timeout=60, interval=0.5))()
say([last.parent.parent.id, last.parent.id, last.id])
"""


def begin(rig: Rig, text: str, nodes: list[str]) -> list[str]:
    """Start a program that leaves the ids of its jobs and ends."""
    (requests,) = program(rig, text.format(nodes=fold(nodes)))
    assert isinstance(requests, list)
    return requests


def jobs_of(rig: Rig, requests: list[str]) -> int:
    """How many jobs these requests became."""
    query = select(func.count()).select_from(job).where(job.c.request.in_(requests))
    return int(rig.read(lambda c: c.scalar(query)) or 0)


def resets(rig: Rig, nodes: list[str]) -> set[int]:
    """How often the BMCs of these nodes carried out a reset."""
    executed = rig.box.control.executed("reset")
    return {executed.get(rig.address(node), 0) for node in nodes}


def test_a_chain_ends_with_a_typed_result_for_each_step(rig: Rig) -> None:
    nodes = rig.some(NODES)
    rig.box.control.faults([rig.address(nodes[0])], wrong_password=True)
    boot, reset, wait = collect(rig, begin(rig, BOOT, nodes))
    assert boot.failed == nodes[:1]
    assert boot.nodes[nodes[0]].error == "BmcAuthError"
    assert reset.ok == wait.ok == sorted(nodes[1:])
    assert {answer.sn for answer in reset.nodes.values()} == {"sn1", "sn2"}
    assert resets(rig, nodes[1:]) == {1}
    assert resets(rig, nodes[:1]) == {0}


def kill_the_management_node(rig: Rig) -> None:
    rig.box.signal("mn1", signal.SIGKILL)
    rig.up()


def empty_redis(rig: Rig) -> None:
    with leases.connect((rig.box.home / "run" / "broker").read_text().strip()) as client:
        client.flushall()


@pytest.mark.parametrize("harm", [kill_the_management_node, empty_redis])
@pytest.mark.parametrize("point", range(4))
def test_a_chain_goes_on_after(rig: Rig, harm: Callable[[Rig], None], point: int) -> None:
    """Whatever the moment: every step runs once, and its result arrives."""
    chance = random.Random(f"{SEED} {point} {harm.__name__} {rig.engine.name}")
    nodes = rig.some(NODES)
    rig.box.control.faults("all", latency=LATENCY_S)
    requests = begin(rig, BOOT, nodes)
    time.sleep(chance.uniform(0, LENGTH_S))
    harm(rig)
    found = collect(rig, requests)
    assert [one.ok for one in found] == [sorted(nodes)] * 3, [str(one) for one in found]
    assert jobs_of(rig, requests) == 2
    assert resets(rig, nodes) == {1}


def test_a_failure_in_the_middle_ends_the_chain(rig: Rig) -> None:
    nodes = rig.some(4)
    requests = begin(
        rig,
        """
        wait = wait_for.s("off", timeout=1, interval=0.5)
        last = chain(rpower.s({nodes!r}, "on"), wait, rpower.s("reset"))()
        say([last.parent.parent.id, last.parent.id, last.id])
        """,
        nodes,
    )
    on, wait, reset = collect(rig, requests)
    assert on.well
    assert wait.failed == sorted(nodes)
    assert all(answer.text == "not off after 1 s: on" for answer in wait.nodes.values())
    assert reset.note.startswith("no node was left ok by wait_for: 0 ok; 4 error")
    assert resets(rig, nodes) == {0}


def test_a_group_is_jobs_side_by_side(rig: Rig) -> None:
    nodes = rig.some(6)
    told = program(
        rig,
        f"""
        asked = group(rpower.s(node, "stat") for node in {nodes!r})()
        say([result(one, 60).ok for one in asked])
        say([one["command"] for one in asked.get(timeout=60)])
        mixed = group(rpower.s({nodes[0]!r}, "stat"), chain(rpower.s({nodes[1]!r}, "on"), rpower.s("stat")))()
        say([str(result(one, 60)) for one in mixed])
        """,
    )
    assert told == [[[node] for node in nodes], ["rpower"] * 6, ["1 ok", "1 ok"]]


def test_a_wait_ends_when_the_nodes_are_there(rig: Rig) -> None:
    nodes = rig.some(6)
    addresses = [rig.address(node) for node in nodes]
    rig.box.control.power(addresses, False)
    text = 'say([wait_for.delay({nodes!r}, "on", timeout=60, interval=0.5).id])'
    requests = begin(rig, text, nodes)
    rig.box.control.power(addresses[:3], True)
    time.sleep(1)
    rig.box.control.power(addresses, True)
    (found,) = collect(rig, requests)
    assert found.ok == sorted(nodes)
    rig.box.must("chdef", "-t", "node", "-o", fold(nodes), "status=booting")
    requests = begin(rig, text.replace('"on"', '"booted"'), nodes)
    rig.box.must("chdef", "-t", "node", "-o", fold(nodes), "status=booted")
    (found,) = collect(rig, requests)
    assert found.ok == sorted(nodes)


def test_what_fails_says_why(rig: Rig) -> None:
    node = rig.node(1)
    rig.box.control.faults([rig.address(node)], wrong_password=True)
    told = program(
        rig,
        f"""
        from celery import shared_task
        from core.errors import ServalError
        from core.jobresult import JobFailed

        @shared_task(name="plain")
        def plain():
            pass

        asked = rpower.delay({node!r}, "on")
        try:
            asked.get(timeout=60)
        except JobFailed as failed:
            say([str(failed), asked.state, failed.result.failed])
        for wrong in (
            lambda: rpower.delay("nosuch", "on"),
            lambda: rpower.delay({node!r}, "fly"),
            lambda: chord([rpower.s({node!r}, "stat")], rpower.s("on"))(),
            lambda: chain(group(rpower.s({node!r}, "on"), rpower.s({node!r}, "off")), rpower.s("on"))(),
            lambda: rpower.apply_async(({node!r}, "on"), countdown=5),
            lambda: rpower.apply_async(({node!r}, "on"), link=rpower.s("off")),
            lambda: chain(rpower.s({node!r}, "stat"), plain.s())(),
            lambda: rpower({node!r}, "on"),
            lambda: rpower.apply_async(({node!r}, "on"), task_id="x" * 200),
            lambda: result(wait_for.delay({node!r}, "nothing", timeout=5), timeout=0.3),
        ):
            try:
                say([type(wrong()).__name__])
            except ServalError as error:
                say([type(error).__name__, error.message])
        """,
    )
    failed, *refused = told
    assert isinstance(failed, list)
    assert failed[0].startswith(f"0 ok; 1 error: {node}: ")
    assert failed[1:] == ["FAILURE", [node]]
    kinds = ["NoderangeError", *["RequestError"] * 8, "UnavailableError"]
    assert [one[0] for one in refused] == kinds, refused  # type: ignore[index]
    assert "plain is not a job of Serval" in refused[6][1]  # type: ignore[index]


def test_a_message_from_elsewhere_becomes_a_job(rig: Rig) -> None:
    """A Celery program that has nothing of Serval's but the broker: queue `jobs`."""
    node = rig.node(1)
    broker = (rig.box.home / "run" / "broker").read_text().strip()
    text = f"""
from celery import Celery
import os
app = Celery(broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
first = app.send_task("rpower", args=[{node!r}, "stat"], queue="jobs")
both = app.signature("rpower", args=[{node!r}, "on"], queue="jobs") | app.signature("rpower", args=["stat"])
last = both.apply_async()
wrong = app.send_task("rpower", args=["^/etc/passwd", "on"], queue="jobs")
print(first.id, last.parent.id, last.id, wrong.id)
"""
    done = python(rig, "-c", text, BROKER=broker)
    assert done.returncode == 0, done.stderr
    first, second, third, wrong = collect(rig, done.stdout.split())
    assert [first.ok, second.ok, third.ok] == [[node]] * 3
    assert wrong.note == "^/etc/passwd: a noderange in a message cannot name a file"


@pytest.mark.parametrize("good", [True, False])
def test_the_examples_do_what_they_say(rig: Rig, good: bool) -> None:
    half = rig.box.bmcs // 2
    racks = [fold(rig.node(first + number) for number in range(20)) for first in (1, 101, half + 1)]
    bad = [] if good else [rig.address(rig.node(number)) for number in (101, 102, 103, 104)]
    if bad:
        rig.box.control.faults(bad, wrong_password=True)
    done = python(rig, "examples/rack_by_rack.py", "reset", *racks)
    lines = done.stdout.splitlines()
    if good:
        assert (done.returncode, lines) == (0, [f"{rack}: 20 ok" for rack in racks]), done.stderr
    else:
        assert done.returncode == 1, done.stderr
        assert lines[0] == f"{racks[0]}: 20 ok"
        assert lines[1].startswith(f"{racks[1]}: 16 ok; ")
        assert lines[2].startswith("stopped: 4 of 40 nodes failed: ")
        assert lines[3] == f"not done: {racks[2]}"
    done = python(rig, "examples/bulk_power.py", racks[1], "stat")
    assert done.returncode == (0 if good else 1), done.stderr
    said = [line.split(": ")[1] for line in done.stdout.splitlines()]
    assert said.count(Outcome.OK) == (20 if good else 16)
    done = python(rig, "examples/boot_chain.py", racks[0])
    assert (done.returncode, done.stdout) == (0, "rsetboot: 20 ok\nrpower: 20 ok\nwait_for: 20 ok\n"), (
        done.stderr
    )
    done = python(rig, "examples/bulk_power.py", "nosuch", "on")
    assert done.returncode == 1
    assert done.stderr == "Error: Invalid nodes and/or groups in noderange: nosuch\n"
