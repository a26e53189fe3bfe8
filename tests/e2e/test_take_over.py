"""Taking a service node out of service and back under load, and nodes that report meanwhile: real workers."""

import os
import subprocess
from pathlib import Path

from rig import Rig, counts, settled

from core.fold import fold
from core.states import Outcome
from drivers import leases

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "node" / "serval-status"


def test_draining_in_the_middle_of_a_job_loses_nothing(rig: Rig) -> None:
    """What sn1 has in hand it ends, sn2 does the rest; nothing is unknown and nothing is done twice."""
    rig.box.control.faults("all", latency=0.04)
    asked = rig.ask(rig.some(1200), "reset")
    rig.until(lambda: len(rig.results(asked.job)) >= 50, "the job does not begin")
    rig.box.must("serval", "sn", "drain", "sn1", "--reason", "disk swap")
    try:
        asked.wait()
        settled(rig, asked, lost=["sn1"])
        assert counts(rig, asked) == {Outcome.OK: 1200}
        said = rig.box.must("nodels", fold(asked.nodes), "nodelist.status").out.splitlines()
        assert {line.partition(": ")[2] for line in said} == {"powering-on"}
        assert {one.sn for one in rig.results(asked.job).values()} == {"sn1", "sn2"}
        node = rig.node(1)
        later = rig.ask([node], "stat").wait()
        assert rig.results(later.job)[node].sn == "sn2"
        told = rig.box.must("serval", "why", node).out
        assert "sn1 passed over: drained by" in told
        assert "disk swap → sn2" in told
        refused = rig.box.run("serval", "sn", "drain", "sn2")
        assert refused.status == 1
        assert "no other live member would be left for" in refused.err
    finally:
        rig.box.must("serval", "sn", "undrain", "sn1")
    back = rig.ask([node], "stat").wait()
    assert rig.results(back.job)[node].sn == "sn1"


def test_nodes_report_while_their_port_s_process_is_killed(rig: Rig) -> None:
    node = rig.node(1)
    rig.box.must("chdef", node, "ip=127.0.0.1")
    port = int(leases.read_all(leases.connect(rig.broker))["sn1"].load["status_port"])
    serving = [pid for pid, words in rig.box.processes("sn1").items() if "tasks.nodestatus" in words]
    rig.box.kill(serving)
    own = {**os.environ, "SERVAL_SERVERS": f"127.0.0.1:{port}", "SERVAL_MINUTES": "1"}
    done = subprocess.run(
        [str(SCRIPT), "booted"], env=own, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert rig.box.must("nodels", node, "nodelist.status").out == f"{node}: booted\n"
