"""nodeset with real workers: files on every member of a pool, one that dies and catches up, chains."""

import json
import os
import signal
from pathlib import Path

import pytest
from programs import collect, program
from rig import Rig, counts, settled

from core.states import Outcome
from db import deliveries

#: Far from the nodes that other tests define anew; their pool is sn1,sn2.
NODES = "n[0101-0106]"
NODE = "n0101"
STATE = "netboot debian12-x86_64-compute"

DEPLOY = """
from tasks.provision import nodeset
steps = nodeset.s({nodes!r}, osimage="compute"), rpower.s("boot"), wait_for.s("on", interval=0.5)
last = chain(*steps)()
say([last.parent.parent.id, last.parent.id, last.id])
"""


@pytest.fixture
def deployable(rig: Rig) -> Rig:
    """Six nodes that could boot, and nothing wanted of them."""
    must = rig.box.must
    must(
        "chdef",
        NODES,
        "netboot=xnba",
        r"ip=|n(\d+)|10.77.0.($1+0)|",
        r"mac=|n(\d+)|02:00:00:00:01:($1-90)|",
    )
    must("chtab", "net=10.77.0.0", "networks.mask=255.255.0.0", "networks.netname=e2e")
    must("chdef", "-t", "site", "clustersite", "sharedtftp=0")
    image = ("osvers=debian12", "osarch=x86_64", "profile=compute", "provmethod=netboot")
    must("chdef", "-t", "osimage", "-o", "compute", *image)
    must("nodeset", NODES, "offline")
    return rig


def boot_file(rig: Rig, sn: str, node: str = NODE) -> Path:
    return rig.box.home / "hosts" / sn / "tftpboot" / "xcat" / "xnba" / "nodes" / node


def text(rig: Rig, sn: str) -> str:
    file = boot_file(rig, sn)
    return file.read_text() if file.exists() else ""


def test_every_member_has_the_same_files_until_somebody_touches_them(deployable: Rig) -> None:
    rig = deployable
    done = rig.box.must("nodeset", NODES, "osimage=compute")
    assert done.lines == [f"n0{number}: {STATE}" for number in range(101, 107)]
    assert f"#{STATE}\n" in text(rig, "sn1")
    assert text(rig, "sn1") == text(rig, "sn2")
    foreign = boot_file(rig, "sn2", "foreign")
    foreign.write_text("mine\n")

    told = [json.loads(line) for line in rig.box.must("nodeset", NODE, "stat", "-V", "--json").lines]
    assert [one["sn"] for one in told] == ["sn1", "sn2"]
    assert told[0]["checksum"] == told[1]["checksum"]

    boot_file(rig, "sn2").unlink()
    found = rig.box.run("nodeset", NODES, "stat", "-V")
    assert found.status == 1
    assert f"{NODE}: [sn2]: Error: " in found.err and "is not what it should be" in found.err
    assert len(found.lines) == 11
    rig.box.must("nodeset", NODE, "osimage=compute")
    assert text(rig, "sn1") == text(rig, "sn2")
    why = rig.box.must("serval", "why", NODE).lines
    assert f"nodeset {NODE} osimage=compute" in why[0] and why[-1].endswith(f"ok: {STATE}, from sn1")

    rig.box.must("nodeset", NODES, "offline")
    assert (text(rig, "sn1"), text(rig, "sn2"), foreign.read_text()) == ("", "", "mine\n")
    foreign.unlink()


def test_a_dead_member_holds_up_nobody_and_catches_up_unasked(deployable: Rig) -> None:
    rig = deployable
    rig.box.must("nodeset", NODES, "osimage=compute")
    rig.box.signal("sn1", signal.SIGKILL)
    done = rig.box.must("nodeset", NODES, "boot")
    assert set(done.lines) == {f"n0{number}: boot" for number in range(101, 107)}
    assert ("#boot\n" in text(rig, "sn1"), "#boot\n" in text(rig, "sn2")) == (False, True)
    (named,) = done.err.splitlines()
    assert named.startswith("sn1 is left behind, and catches up when it can: ")
    assert named.endswith(" (n[0101-0106])")
    assert "sn1 is left behind" in rig.box.must("serval", "why", NODE).out
    rig.box.up()
    rig.until(lambda: "#boot\n" in text(rig, "sn1"), "sn1 does not catch up")
    assert text(rig, "sn1") == text(rig, "sn2")


def test_a_folded_job_survives_its_management_node(deployable: Rig) -> None:
    """Killed while both service nodes have the work and no node has a row (db/folding.py)."""
    rig = deployable
    rig.box.must("nodeset", NODES, "osimage=compute")
    # Not the whole service nodes: those would be given up after three seconds, their workers after ten.
    busy = [pid for sn in rig.box.sns for pid in rig.celery_mains(sn)]
    for pid in busy:
        os.kill(pid, signal.SIGSTOP)
    nodes = [f"n0{number}" for number in range(101, 107)]
    asked = rig.ask(nodes, "osimage=compute", command="nodeset")
    rig.until(lambda: given(rig, asked.job) == {"sn1", "sn2"}, "nobody was given the work")
    rig.box.signal("mn1", signal.SIGKILL)
    print("folded" if not rig.states(asked.job) else "unfolded: this machine was slow")
    for pid in busy:
        os.kill(pid, signal.SIGCONT)
    rig.box.up()
    asked.wait()
    settled(rig, asked, lost=["mn1", *rig.box.sns])
    assert counts(rig, asked) == {Outcome.OK: len(nodes)}
    assert {found.text for found in rig.results(asked.job).values()} == {STATE}
    assert text(rig, "sn1") == text(rig, "sn2") != ""


def given(rig: Rig, job: int) -> set[str]:
    """The service nodes that have an attempt of a job."""
    return {one.sn for one in rig.read(lambda connection: deliveries.deliveries(connection, job))}


def test_a_chain_takes_nodes_from_nothing_to_running(deployable: Rig) -> None:
    rig = deployable
    rig.box.control.power("all", False)
    rig.box.must("chdef", "n0106", "netboot=petitboot")
    (requests,) = program(rig, DEPLOY.format(nodes=NODES))
    assert isinstance(requests, list)
    first, boot, wait = collect(rig, requests)
    assert first.failed == ["n0106"]
    assert "noderes.netboot is 'petitboot'" in first.nodes["n0106"].text
    assert first.nodes[NODE].text == STATE
    assert boot.ok == wait.ok == [f"n0{number}" for number in range(101, 106)]
