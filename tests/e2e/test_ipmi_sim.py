"""The whole way, from the command to a BMC that we did not write: OpenIPMI's ipmi_sim behind real workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ipmi_sim_rig import IpmiSim, ipmi_sim
from rig import Rig


@pytest.fixture
def strange(rig: Rig, tmp_path: Path) -> Iterator[IpmiSim]:
    """ipmi_sim as the BMC of the node `strange`, served by sn1,sn2."""
    with ipmi_sim(tmp_path) as bmc:
        rig.box.must(
            "mkdef",
            "-t",
            "node",
            "strange",
            "groups=strange",
            "mgt=ipmi",
            "servicenode=sn1,sn2",
            f"bmc=127.0.0.1:{bmc.port}",
            "bmcusername=admin",
            "bmcpassword=secret",
        )
        yield bmc
        rig.box.must("rmdef", "-t", "node", "strange")


def test_power_and_boot_device_of_a_strange_bmc(rig: Rig, strange: IpmiSim) -> None:
    for words, said, taken in (
        ("rpower strange stat", "off", []),
        ("rpower strange on", "on", ["power 1"]),
        ("rpower strange stat", "on", []),
        ("rpower strange reset", "reset", ["reset 1"]),
        ("rpower strange off", "off", ["power 0"]),
        ("rpower strange reset", "off", []),
        ("rpower strange boot", "on", ["power 1"]),
    ):
        strange.taken()
        assert rig.box.must(*words.split()).lines == [f"strange: {said}"], words
        assert strange.taken() == taken, words
    assert rig.box.must("rsetboot", "strange", "net").lines == ["strange: Network"]


def test_a_wrong_password_at_a_strange_bmc(rig: Rig, strange: IpmiSim) -> None:
    rig.box.must("chdef", "strange", "bmcpassword=wrong")
    done = rig.box.run("rpower", "strange", "on")
    assert done.status == 1
    assert done.err.startswith("strange: [sn1]: Error: ")
    assert strange.taken() == []
