"""Commands that are left, and a cluster that is stopped, while a job goes on."""

import signal

from rig import Rig, counts, settled

from core.states import NodeState, Outcome

NODES = 400
LATENCY_S = 0.1
#: A job of all BMCs takes a quarter of a minute.
AT_ONCE = 160


def test_ctrl_c_leaves_the_job_alone(rig: Rig) -> None:
    """It says that the job goes on and how to watch it."""
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(rig.some(NODES), "reset")
    asked.process.send_signal(signal.SIGINT)
    asked.wait()
    assert asked.status == 130
    assert f"job {asked.job} goes on" in asked.err
    assert f"serval watch {asked.job}" in asked.err
    settled(rig, asked, heard=False)
    assert counts(rig, asked) == {Outcome.OK: NODES}


def test_a_second_ctrl_c_cancels(rig: Rig) -> None:
    """What was not sent ends cancelled, what was sent ends with what the BMC said."""
    rig.box.control.faults("all", latency=0.3)
    asked = rig.ask(rig.some(NODES), "reset")
    asked.process.send_signal(signal.SIGINT)
    assert asked.process.stderr is not None
    asked.process.stderr.readline()
    asked.process.send_signal(signal.SIGINT)
    asked.wait()
    assert asked.status == 130
    assert "nodes cancelled" in asked.err
    settled(rig, asked, heard=False)
    found = counts(rig, asked)
    assert found[Outcome.CANCELLED]
    assert set(found) <= {Outcome.OK, Outcome.CANCELLED}


def test_a_closed_pipe_ends_the_command_and_not_the_job(rig: Rig) -> None:
    """As `| head` does."""
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(rig.some(NODES), "reset")
    assert asked.process.stdout is not None
    asked.process.stdout.readline()
    asked.process.stdout.close()
    assert asked.process.wait(30) == 141
    assert asked.process.stderr is not None
    assert asked.process.stderr.read() == ""
    settled(rig, asked, heard=False)
    assert counts(rig, asked) == {Outcome.OK: NODES}


def test_the_cluster_is_stopped_and_started(rig: Rig) -> None:
    """`serval down` and `serval up` while most of a job still waits for its turn: it goes on to its end."""
    site = ("chdef", "-t", "site", "clustersite")
    rig.box.must(*site, f"syspowermaxnodes={AT_ONCE}", "syspowerinterval=1")
    try:
        asked = rig.ask(rig.some(rig.box.bmcs), "reset")
        rig.until(lambda: len(rig.results(asked.job)) >= AT_ONCE, "the job does not begin")
        rig.box.must("serval", "down")
        assert any(state != NodeState.DONE for state, _ in rig.states(asked.job).values())
        rig.box.up()
        asked.wait()
        settled(rig, asked, lost=rig.box.sns)
        assert counts(rig, asked) == {Outcome.OK: rig.box.bmcs}
    finally:
        rig.box.must(*site, "syspowermaxnodes=", "syspowerinterval=")
