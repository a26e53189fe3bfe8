"""BMCs that do not answer, refuse, or are not in the tables: who is tried, and what the others notice."""

from collections.abc import Iterator

import pytest
from rig import Rig, settled

from core.states import Outcome

LATENCY_S = 0.02


@pytest.fixture
def impatient(rig: Rig) -> Iterator[Rig]:
    """A site that gives a BMC up after a short while."""
    rig.box.must("chdef", "-t", "site", "clustersite", "ipmitimeout=0.3", "ipmiretries=5")
    yield rig
    rig.box.must("chdef", "-t", "site", "clustersite", "ipmitimeout=", "ipmiretries=")


def test_silent_bmcs_delay_nobody(impatient: Rig) -> None:
    """Each costs one deadline for each service node of its pool, and nobody else's time."""
    rig = impatient
    nodes = rig.some(400)
    silent = set(nodes[::20])
    rig.box.control.faults("all", latency=LATENCY_S)
    rig.box.control.faults([rig.address(node) for node in silent], silent=True)
    asked = rig.ask(nodes, "reset").wait()
    settled(rig, asked)
    results = rig.results(asked.job)
    assert {node for node, found in results.items() if found.outcome == Outcome.OK} == set(nodes) - silent
    assert {results[node].outcome for node in silent} == {Outcome.UNREACHED}
    last_ok = max(results[node].ended or 0 for node in set(nodes) - silent)
    assert last_ok < min(results[node].ended or 0 for node in silent)
    for line in asked.said:
        if line["node"] in silent:
            assert all(name in str(line["message"]) for name in rig.box.sns), line["message"]


def test_a_bmc_that_answers_only_the_second(impatient: Rig) -> None:
    """What the first service node cannot reach the second one does, and says after whom."""
    rig = impatient
    nodes = rig.some(100)
    deaf = nodes[:5]
    rig.box.control.faults("all", latency=LATENCY_S)
    rig.box.control.faults([rig.address(node) for node in deaf], silent=True)
    asked = rig.ask(nodes, "reset")
    rig.until(lambda: any(sn == "sn2" for sn, _ in rig.events(asked.job, "hop")), "nothing hops")
    rig.box.control.faults([rig.address(node) for node in deaf], silent=False)
    asked.wait()
    settled(rig, asked)
    assert asked.status == 0
    for line in asked.said:
        if line["node"] in deaf:
            assert line["sn"] == "sn2"
            assert [name for name, _ in line["tried"]] == ["sn1"]  # type: ignore[attr-defined]


def test_a_wrong_password_is_final(rig: Rig) -> None:
    """Another service node would be told the same: no hop."""
    nodes = rig.some(60)
    refusing = nodes[:3]
    rig.box.control.faults([rig.address(node) for node in refusing], wrong_password=True)
    asked = rig.ask(nodes, "reset").wait()
    settled(rig, asked)
    failed = {str(line["node"]): line for line in asked.said if line["outcome"] != Outcome.OK}
    assert sorted(failed) == refusing
    for line in failed.values():
        assert (line["outcome"], line["sn"], line["tried"]) == (Outcome.ERROR, "sn1", [])
        assert "password" in str(line["message"])


def test_a_node_without_a_bmc_is_named(rig: Rig) -> None:
    """The others are done."""
    rig.box.must("mkdef", "-t", "node", "-o", "bare", "groups=bare", "mgt=ipmi", "servicenode=sn1,sn2")
    try:
        asked = rig.ask([rig.node(1), "bare"], "stat").wait()
        settled(rig, asked)
        lines = {str(line["node"]): line for line in asked.said}
        assert lines[rig.node(1)]["outcome"] == Outcome.OK
        assert lines["bare"]["outcome"] == Outcome.ERROR
        assert "bare" in str(lines["bare"]["message"]) or "bmc" in str(lines["bare"]["message"])
    finally:
        rig.box.must("rmdef", "-t", "node", "-o", "bare")
