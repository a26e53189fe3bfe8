"""Both BMC drivers against OpenIPMI's ipmi_sim: a BMC that we did not write (cipher suite 3 only)."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bmc_rig import PATIENT, QUICK, RecordingGate, run

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from drivers.bmc.contract import Driver, Target, Verdict
from drivers.bmc.engine import Engine
from drivers.bmc.pyghmi_driver import PyghmiDriver

LAN = """\
name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{script} 0x20"
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
"""
EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
#: Called as: script 0x20 get|set NAME [VALUE]; keeps the state in files and notes every set.
CHASSIS = """\
#!/bin/sh
cd {home}; shift; verb=$1; shift
while [ $# -gt 0 ]; do
  case $verb in
    get) echo "$1:$(cat $1 2>/dev/null || echo 0)"; shift;;
    set) echo "$1 $2" >> log; [ $1 = reset ] || echo $2 > $1; shift 2;;
    *) shift;;
  esac
done
"""


class IpmiSim:
    """One running ipmi_sim; `home` holds its chassis."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        script = home / "chassis"
        script.write_text(CHASSIS.format(home=home))
        script.chmod(0o755)
        (home / "lan.conf").write_text(LAN.format(port=self.port, script=script))
        (home / "sim.emu").write_text(EMULATION)
        (home / "boot").write_text("none\n")
        self.power(False)
        arguments = ["-n", "-c", home / "lan.conf", "-f", home / "sim.emu", "-s", home / "state"]
        self.process = subprocess.Popen(
            ["ipmi_sim", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def power(self, on: bool) -> None:
        (self.home / "power").write_text(f"{int(on)}\n")

    def taken(self) -> list[str]:
        """What the chassis was told since the last call."""
        log = self.home / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpmiSim]:
    if shutil.which("ipmi_sim") is None:
        pytest.fail("ipmi_sim is not installed: make packages")
    made = IpmiSim(tmp_path_factory.mktemp("ipmi_sim"))
    try:
        time.sleep(0.3)
        yield made
    finally:
        made.process.terminate()
        made.process.wait()


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
