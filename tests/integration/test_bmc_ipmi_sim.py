"""Both BMC drivers against OpenIPMI's ipmi_sim: a BMC that we did not write (cipher suite 3 only)."""

from collections.abc import Iterator

import pytest
from bmc_rig import PATIENT, QUICK, RecordingGate, run
from ipmi_sim_rig import IpmiSim, ipmi_sim

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from drivers.bmc.contract import Driver, Target, Verdict
from drivers.bmc.engine import Engine
from drivers.bmc.pyghmi_driver import PyghmiDriver


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpmiSim]:
    with ipmi_sim(tmp_path_factory.mktemp("ipmi_sim")) as made:
        yield made


@pytest.fixture(scope="module", params=["engine", "pyghmi"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made: Engine | PyghmiDriver = Engine() if request.param == "engine" else PyghmiDriver()
    yield made
    made.close()


@pytest.fixture
def target(bmc: IpmiSim) -> Target:
    bmc.taken()
    return Target("n1", "127.0.0.1", b"admin", b"secret", bmc.port)


@pytest.mark.parametrize(
    ("action", "powered", "text", "taken"),
    [
        (Action.STAT, True, "on", []),
        (Action.STAT, False, "off", []),
        (Action.ON, False, "on", ["power 1"]),
        (Action.ON, True, "on", []),
        (Action.OFF, True, "off", ["power 0"]),
        (Action.OFF, False, "off", []),
        (Action.RESET, True, "reset", ["reset 1"]),
        (Action.RESET, False, "off", []),
        (Action.BOOT, True, "reset", ["reset 1"]),
        (Action.BOOT, False, "on", ["power 1"]),
        (Action.SOFTOFF, True, "softoff", ["shutdown 1"]),
    ],
)
def test_action(
    driver: Driver, bmc: IpmiSim, target: Target, action: Action, powered: bool, text: str, taken: list[str]
) -> None:
    bmc.power(powered)
    reply = run(driver, action, [target], PATIENT)["n1"]
    assert (reply.verdict, reply.text) == (Verdict.OK, text)
    assert bmc.taken() == taken


def test_boot_device(driver: Driver, bmc: IpmiSim, target: Target) -> None:
    reply = run(driver, BootRequest(BootDevice.NET), [target], PATIENT)["n1"]
    assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, "Network", "setboot")
    assert bmc.taken() == ["boot pxe"]


def test_wrong_password(driver: Driver, bmc: IpmiSim, target: Target) -> None:
    wrong = Target("n1", target.address, b"admin", b"guess", target.port)
    reply = run(driver, Action.STAT, [wrong], PATIENT)["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert reply.text.startswith("Incorrect password provided")


def test_unknown_user(driver: Driver, bmc: IpmiSim, target: Target) -> None:
    wrong = Target("n1", target.address, b"nobody", b"secret", target.port)
    reply = run(driver, Action.STAT, [wrong], PATIENT)["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert reply.text.startswith("Unauthorized name")


def test_not_permitted(driver: Driver, bmc: IpmiSim, target: Target) -> None:
    bmc.power(True)
    reply = run(driver, Action.RESET, [target], QUICK, RecordingGate("refuse"))["n1"]
    assert reply.verdict is Verdict.DROPPED
    assert bmc.taken() == []
