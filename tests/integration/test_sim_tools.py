"""Tools that we did not write as judges of the simulator: ipmitool, FreeIPMI's ipmipower and pyghmi."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.client import SimControl
from lab.fleet import Settings
from lab.simulator import Simulator

PASSWORD = "S3cret"
ONE, TWO = "127.1.0.1", "127.1.0.2"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(Settings(count=20, password=PASSWORD.encode())) as running:
        yield running


def tool(name: str) -> str:
    """The path of a judge; without it nothing is proved."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"{name} is not installed: make packages")
    return path


def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def ipmitool(sim: Simulator, *words: str, suite: str = "17", password: str = PASSWORD) -> tuple[int, str]:
    login = ("-H", ONE, "-p", str(sim.port), "-U", "ADMIN", "-P", password)
    choice = ("-C", suite) if suite else ()
    return run(tool("ipmitool"), "-I", "lanplus", "-R", "2", "-N", "1", *choice, *login, *words)


def ipmipower(sim: Simulator, *words: str, suite: str = "17", password: str = PASSWORD) -> dict[str, str]:
    """What ipmipower says by address."""
    hosts = ",".join(f"{address}:{sim.port}" for address in (ONE, TWO))
    login = ("-h", hosts, "-u", "ADMIN", "-p", password, "-D", "LAN_2_0", "-I", suite)
    _, text = run(tool("ipmipower"), "--session-timeout=5000", *login, *words)
    return {line.split(": ")[0].split(":")[0]: line.split(": ")[1] for line in text.splitlines()}


@pytest.mark.parametrize("suite", ["3", "17", ""])
def test_ipmitool_power(sim: Simulator, suite: str) -> None:
    def power(word: str) -> str:
        code, text = ipmitool(sim, "chassis", "power", word, suite=suite)
        assert code == 0, text
        return text

    assert power("status") == "Chassis Power is off"
    assert power("on") == "Chassis Power Control: Up/On"
    assert power("status") == "Chassis Power is on"
    for word in ("reset", "cycle", "diag", "soft"):
        assert "Chassis Power Control" in power(word)
    assert power("status") == "Chassis Power is off"
    assert power("off") == "Chassis Power Control: Down/Off"
    counters = sim.control.counters(ONE)[ONE]
    assert counters["executed"] == dict.fromkeys(("on", "reset", "cycle", "nmi", "softoff", "off"), 1)
    assert sim.control.totals()["open_sessions"] == 0


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("pxe", "Force PXE"),
        ("disk", "Force Boot from default Hard-Drive"),
        ("cdrom", "Force Boot from CD/DVD"),
        ("bios", "Force Boot into BIOS Setup"),
        ("none", "No override"),
    ],
)
def test_ipmitool_boot_device(sim: Simulator, word: str, text: str) -> None:
    assert ipmitool(sim, "chassis", "bootdev", word)[0] == 0
    code, shown = ipmitool(sim, "chassis", "bootparam", "get", "5")
    assert code == 0
    assert text in shown


def test_ipmitool_boot_device_that_stays_and_is_uefi(sim: Simulator) -> None:
    assert ipmitool(sim, "chassis", "bootdev", "pxe", "options=persistent,efiboot")[0] == 0
    sim.control.power(ONE, on=True)
    seen = sim.control.state(ONE)[ONE]
    assert (seen["boot_flags"], seen["booted_from"]) == ("e004000000", "Network")


def test_ipmitool_other_commands(sim: Simulator) -> None:
    code, text = ipmitool(sim, "mc", "info")
    assert code == 0 and "IPMI Version              : 2.0" in text
    code, text = ipmitool(sim, "chassis", "status")
    assert code == 0 and "System Power         : off" in text
    code, text = ipmitool(sim, "raw", "0x2c", "0x01")
    assert code == 1 and "rsp=0xc1" in text
    code, text = ipmitool(sim, "chassis", "power", "reset")
    assert code == 1 and "not supported in present state" in text


@pytest.mark.parametrize("suite", ["3", "17"])
def test_ipmitool_with_wrong_credentials(sim: Simulator, suite: str) -> None:
    code, text = ipmitool(sim, "chassis", "power", "on", suite=suite, password="wrong")
    assert (code, text) == (1, "Error: Unable to establish IPMI v2 / RMCP+ session")
    sim.control.faults(ONE, wrong_password=True)
    assert ipmitool(sim, "chassis", "power", "on", suite=suite)[0] == 1
    assert sim.control.received("on", ONE) == {ONE: 0}


def test_ipmitool_rides_out_loss_and_duplicates(sim: Simulator) -> None:
    sim.control.faults(ONE, duplicate=1.0, latency=0.01)
    assert ipmitool(sim, "chassis", "power", "on")[0] == 0
    assert ipmitool(sim, "chassis", "power", "reset")[0] == 0
    counters = sim.control.counters(ONE)[ONE]
    assert counters["executed"] == {"on": 1, "reset": 1}
    assert counters["repeats"] >= 2


@pytest.mark.parametrize("suite", ["3", "17"])
def test_ipmipower(sim: Simulator, suite: str) -> None:
    def both(text: str) -> dict[str, str]:
        return {ONE: text, TWO: text}

    assert ipmipower(sim, "--stat", suite=suite) == both("off")
    assert ipmipower(sim, "--on", suite=suite) == both("ok")
    assert ipmipower(sim, "--stat", suite=suite) == both("on")
    for word in ("--reset", "--cycle", "--pulse", "--soft"):
        assert ipmipower(sim, word, suite=suite) == both("ok")
    assert ipmipower(sim, "--stat", suite=suite) == both("off")
    sim.control.power("all", on=True)
    assert ipmipower(sim, "--off", suite=suite) == both("ok")
    for address in (ONE, TWO):
        executed = sim.control.counters(address)[address]["executed"]
        assert executed == dict.fromkeys(("on", "reset", "cycle", "nmi", "softoff", "off"), 1)


def test_ipmipower_with_a_wrong_password(sim: Simulator) -> None:
    assert ipmipower(sim, "--stat", password="wrong") == dict.fromkeys((ONE, TWO), "password invalid")


# One process a run: pyghmi keeps its sockets, threads and sessions until its process ends.
_PYGHMI = """
import sys
from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.command import Command
address, port, password = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
try:
    bmc = Command(bmc=address, userid=b"ADMIN", password=password, port=port)
except IpmiException as error:
    sys.exit(f"refused: {error}")
print(bmc.get_power()["powerstate"])
for word in ("on", "reset", "diag", "shutdown", "on", "off"):
    print(word, bmc.set_power(word))
print(bmc.set_bootdev("network", persist=True, uefiboot=True), bmc.get_bootdev())
bmc.ipmi_session.logout()
"""


def pyghmi(sim: Simulator, password: str = PASSWORD) -> tuple[int, str]:
    return run(sys.executable, "-c", _PYGHMI, ONE, str(sim.port), password)


def test_pyghmi(sim: Simulator) -> None:
    code, text = pyghmi(sim)
    assert code == 0, text
    assert text.splitlines()[0] == "off"
    assert "'bootdev': 'network', 'persistent': True, 'uefimode': True" in text
    executed = sim.control.counters(ONE)[ONE]["executed"]
    assert {word: executed[word] for word in ("on", "reset", "nmi", "softoff", "off")} == {
        "on": 2,
        "reset": 1,
        "nmi": 1,
        "softoff": 1,
        "off": 1,
    }


def test_pyghmi_with_a_wrong_password(sim: Simulator) -> None:
    code, text = pyghmi(sim, "wrong")
    assert code == 1
    assert "refused: Incorrect password" in text


def test_the_command_line_serves_until_it_is_asked_to_end(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    where = str(tmp_path / "control")
    options = ("--count", "300", "--password-file", str(secret), "--control", where)
    command = (sys.executable, "-m", "lab.sim", *options, "--fault", "silent=127.1.0.5")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        with SimControl.connect(where) as control:
            port = control.hello()["port"]
            assert ready == f"ready: 300 BMCs 127.1.0.1-127.1.1.44 port {port}\n"
            assert control.state("127.1.0.5")["127.1.0.5"]["faults"]["silent"] is True
            login = ("-H", "127.1.1.44", "-p", str(port), "-U", "ADMIN", "-P", PASSWORD, "-C", "17")
            assert run(tool("ipmitool"), "-I", "lanplus", *login, "power", "on")[0] == 0
            assert control.executed("on", "127.1.1.44") == {"127.1.1.44": 1}
        process.terminate()
        assert process.wait(10) == 0
    assert not Path(where).exists()


def test_ten_thousand_bmcs_are_small_and_every_one_is_counted(tmp_path: Path) -> None:
    where = str(tmp_path / "control")
    command = (sys.executable, "-m", "lab.sim", "--count", "10000", "--control", where)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().startswith("ready: 10000 BMCs")
        with SimControl.connect(where) as control:
            port = control.hello()["port"]
            hosts = ",".join(f"127.1.{n // 250}.{n % 250}:{port}" for n in range(1, 501))
            login = ("-h", hosts, "-u", "ADMIN", "-p", "ADMIN", "-D", "LAN_2_0", "-I", "17")
            _, text = run(tool("ipmipower"), "-F", "100", *login, "--on")
            assert text.count(": ok") == 500, text
            executed = control.executed("on")
        memory = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
    assert (len(executed), sum(executed.values()), max(executed.values())) == (10000, 500, 1)
    assert int(memory.split("VmRSS:")[1].split()[0]) < 60_000
