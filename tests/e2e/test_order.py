"""Who comes first for a node, and that nobody small waits behind somebody big (PROTOCOL 10, 15)."""

from rig import Asked, Rig, counts, settled

from core.states import JobState, Outcome


def ended(rig: Rig, asked: Asked) -> dict[str, float]:
    """Node → when its outcome was written."""
    return {node: found.ended or 0.0 for node, found in rig.results(asked.job).items()}


def test_changing_jobs_go_one_after_the_other(rig: Rig) -> None:
    """Node by node in the order asked; the later one says what it waits for; stat waits for nobody."""
    rig.box.control.faults("all", latency=0.5)
    nodes = rig.some(200)
    first = rig.ask(nodes, "reset")
    second = rig.ask(nodes, "off")
    look = rig.ask(nodes[:20], "stat").wait()
    assert rig.info(first.job).state == JobState.ACTIVE
    first.wait()
    second.wait()
    settled(rig, first, second, look)
    assert (first.status, second.status, look.status) == (0, 0, 0)
    before, after = ended(rig, first), ended(rig, second)
    assert all(before[node] < after[node] for node in nodes)
    assert f"wait for job {first.job} (rpower" in second.err
    addresses = [rig.address(node) for node in nodes]
    assert all(rig.box.control.executed("off", addresses).values())
    assert {told["power"] for told in rig.box.control.state(addresses).values()} == {"off"}


def test_an_emergency_overtakes(rig: Rig) -> None:
    """--supersede ends what older jobs have not sent, and only that."""
    rig.box.control.faults("all", latency=0.3)
    nodes = rig.some(1200)
    first = rig.ask(nodes, "reset")
    rig.until(lambda: any(issued for _, issued in rig.states(first.job).values()), "nothing is sent")
    second = rig.ask(nodes, "off", "--supersede").wait()
    first.wait()
    settled(rig, first, second)
    assert second.status == 0
    found = counts(rig, first)
    assert set(found) == {Outcome.OK, Outcome.CANCELLED}
    assert {r.text for r in rig.results(first.job).values() if r.outcome == Outcome.CANCELLED} == {
        f"superseded by job {second.job}"
    }


def test_a_small_job_does_not_queue_behind_a_big_one(rig: Rig) -> None:
    """It ends while most of the big one is still to be done, through the same service nodes."""
    rig.box.control.faults("all", latency=0.08)
    big = rig.ask(rig.some(rig.box.bmcs), "reset")
    rig.until(lambda: len(rig.results(big.job)) >= 50, "the big job does not begin")
    small = rig.ask([rig.node(1)], "stat").wait()
    left = rig.box.bmcs - len(rig.results(big.job))
    assert rig.info(big.job).state == JobState.ACTIVE
    big.wait()
    settled(rig, big, small)
    assert (big.status, small.status) == (0, 0)
    assert left >= 500
    assert rig.info(small.job).ended < rig.info(big.job).ended
