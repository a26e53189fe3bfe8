"""Both BMC drivers against the simulator: the same questions, the same answers."""

from collections.abc import Iterator

import pytest
from bmc_rig import PATIENT, QUICK, RecordingGate, run, start

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from drivers.bmc.contract import Driver, Target, Timing, Verdict
from drivers.bmc.engine import Engine
from drivers.bmc.pyghmi_driver import PyghmiDriver
from lab.client import SimControl
from lab.fleet import Settings
from lab.simulator import Simulator

BASE = "127.1.0.1"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(Settings(count=8, base=BASE, seed=7)) as running:
        yield running


@pytest.fixture(scope="module", params=["engine", "pyghmi"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made: Engine | PyghmiDriver = Engine() if request.param == "engine" else PyghmiDriver()
    yield made
    made.close()


@pytest.fixture
def sim(simulator: Simulator) -> SimControl:
    control = simulator.control
    control.heal()
    control.reset_counters()
    control.power("all", False)
    control.credentials("all", "ADMIN", "ADMIN")
    return control


@pytest.fixture
def target(simulator: Simulator) -> Target:
    return Target("n1", BASE, b"ADMIN", b"ADMIN", simulator.port)


@pytest.mark.parametrize(
    ("action", "powered", "text", "sent", "after"),
    [
        (Action.STAT, True, "on", "", "on"),
        (Action.STAT, False, "off", "", "off"),
        (Action.ON, False, "on", "on", "on"),
        (Action.ON, True, "on", "", "on"),
        (Action.OFF, True, "off", "off", "off"),
        (Action.OFF, False, "off", "", "off"),
        (Action.SOFTOFF, True, "softoff", "softoff", "off"),
        (Action.SOFTOFF, False, "off", "", "off"),
        (Action.RESET, True, "reset", "reset", "on"),
        (Action.RESET, False, "off", "", "off"),
        (Action.BOOT, True, "reset", "reset", "on"),
        (Action.BOOT, False, "on", "on", "on"),
        (Action.CYCLE, True, "cycle", "cycle", "on"),
        (Action.NMI, True, "nmi", "nmi", "on"),
    ],
)
def test_action(
    driver: Driver, sim: SimControl, target: Target,
    action: Action, powered: bool, text: str, sent: str, after: str,
) -> None:  # fmt: skip
    sim.power(BASE, powered)
    gate = RecordingGate()
    reply = run(driver, action, [target], gate=gate)["n1"]
    assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, text, sent)
    assert gate.requests == ({("n1", sent): 1} if sent else {})
    assert gate.looks["n1"] == (1 if sent else 0)
    assert sim.state(BASE)[BASE]["power"] == after
    if sent:
        assert sim.received(sent, BASE) == {BASE: 1}


@pytest.mark.parametrize("action", [Action.CYCLE, Action.NMI])
def test_refused_in_this_state(driver: Driver, sim: SimControl, target: Target, action: Action) -> None:
    reply = run(driver, action, [target])["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", action.value)
    assert reply.text.startswith("Command not supported in present state")


@pytest.mark.parametrize("action", [Action.SUSPEND, Action.WAKE])
@pytest.mark.parametrize("powered", [True, False])
def test_what_ipmi_has_not_is_refused_without_a_session(
    driver: Driver, sim: SimControl, target: Target, action: Action, powered: bool
) -> None:
    sim.power(BASE, powered)
    gate = RecordingGate()
    reply = run(driver, action, [target], gate=gate)["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "UnsupportedAction", "")
    assert reply.text.startswith(f"Invalid or unsupported command (BMC {BASE}): ")
    assert "nodehm.power=redfish" in reply.text
    assert not gate.requests
    assert sim.counters(BASE)[BASE]["datagrams"] == 0


def test_boot_device(driver: Driver, sim: SimControl, target: Target) -> None:
    labels = {
        BootDevice.NET: "Network", BootDevice.HD: "Hard Drive", BootDevice.CD: "CD/DVD",
        BootDevice.BIOS: "BIOS Setup", BootDevice.DEFAULT: "boot override inactive",
    }  # fmt: skip
    for device, label in labels.items():
        gate = RecordingGate()
        reply = run(driver, BootRequest(device), [target], gate=gate)["n1"]
        assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, label, "setboot")
        assert gate.requests == {("n1", "setboot"): 1}
        asked = run(driver, BootRequest(BootDevice.STAT), [target])["n1"]
        assert (asked.verdict, asked.text, asked.sent) == (Verdict.OK, label, "")
    run(driver, BootRequest(BootDevice.NET, persistent=True, uefi=True), [target])
    assert sim.state(BASE)[BASE]["boot_flags"].startswith("e004")


def test_wrong_password(driver: Driver, sim: SimControl, simulator: Simulator) -> None:
    reply = run(driver, Action.ON, [Target("n1", BASE, b"ADMIN", b"swordfish", simulator.port)])["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert reply.text.startswith("Incorrect password provided")
    assert "swordfish" not in repr(reply)
    assert BASE in reply.text


def test_unknown_user(driver: Driver, sim: SimControl, simulator: Simulator) -> None:
    reply = run(driver, Action.ON, [Target("n1", BASE, b"mallory", b"ADMIN", simulator.port)])["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert reply.text.startswith("Unauthorized name")
    assert "mallory" not in repr(reply)


def test_silent(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.faults(BASE, silent=True)
    gate = RecordingGate()
    reply = run(driver, Action.RESET, [target], QUICK, gate)["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.WAY, "BmcSilent", "")
    assert reply.text == f"BMC {BASE} did not answer within 1.2 s (timeout)"
    assert not gate.requests


def test_unusable_address(driver: Driver, sim: SimControl) -> None:
    for address, port in (("bmc7", 623), ("10.0.0.300", 623), (BASE, 70000), ("", 623)):
        reply = run(driver, Action.STAT, [Target("n1", address, b"u", b"p", port)])["n1"]
        assert (reply.verdict, reply.error) == (Verdict.NODE, "NoBmcAddress")


def test_datagrams_come_twice(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.power(BASE, True)
    sim.faults(BASE, duplicate=1.0)
    assert run(driver, Action.RESET, [target])["n1"].verdict is Verdict.OK
    assert sim.executed("reset", BASE) == {BASE: 1}


def test_answer_lost_after_the_reset(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.power(BASE, True)
    sim.faults(BASE, reply_lost=1)
    gate = RecordingGate()
    reply = run(driver, Action.RESET, [target], QUICK, gate)["n1"]
    assert (reply.verdict, reply.sent) == (Verdict.LOST, "reset")
    assert gate.looks["n1"] == 1
    counters = sim.counters(BASE)[BASE]
    assert (counters["executed"]["reset"], counters["repeats"]) == (1, 0)


def test_answer_lost_after_what_may_be_repeated(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.faults(BASE, reply_lost=1)
    gate = RecordingGate()
    reply = run(driver, Action.ON, [target], PATIENT, gate)["n1"]
    assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, "on", "on")
    assert gate.looks["n1"] >= 2
    assert sum(gate.requests.values()) == 1


def test_busy_while_reading(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.faults(BASE, busy=3)
    assert run(driver, Action.STAT, [target])["n1"].text == "off"


def test_busy_for_ever(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.faults(BASE, busy=-1)
    reply = run(driver, Action.STAT, [target], QUICK)["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    assert reply.text.startswith("Node busy")


def test_busy_for_a_reset_is_final(driver: Driver, sim: SimControl, target: Target) -> None:
    sim.power(BASE, True)
    gate = RecordingGate(answer="keep")
    batch, replies = start(driver, Action.RESET, [target], PATIENT, gate)
    assert gate.asked.wait(30)
    assert gate.requests == {("n1", "reset"): 1}
    sim.faults(BASE, busy=1)
    batch.permit(["n1"])
    assert batch.wait_done(30)
    assert (replies[0].verdict, replies[0].error, replies[0].sent) == (Verdict.NODE, "BmcRefused", "reset")
    assert replies[0].text.startswith("Node busy")
    assert sim.received("reset", BASE) == {BASE: 1}
    assert sim.executed("reset", BASE) == {BASE: 0}


@pytest.mark.parametrize("command", [Action.RESET, Action.OFF, BootRequest(BootDevice.NET)])
@pytest.mark.parametrize(("answer", "may_send"), [("refuse", True), ("permit", False)])
def test_not_permitted(
    driver: Driver,
    sim: SimControl,
    target: Target,
    answer: str,
    may_send: bool,
    command: Action | BootRequest,
) -> None:
    sim.power(BASE, True)
    reply = run(driver, command, [target], gate=RecordingGate(answer, may_send))["n1"]
    assert (reply.verdict, reply.sent) == (Verdict.DROPPED, "")
    received = sim.counters(BASE)[BASE]["received"]
    assert not {"reset", "off", "setboot"} & set(received)


def test_abandon(driver: Driver, sim: SimControl, simulator: Simulator) -> None:
    sim.power("all", True)
    targets = [Target(f"n{i}", f"127.1.0.{i}", b"ADMIN", b"ADMIN", simulator.port) for i in range(1, 9)]
    batch, replies = start(driver, Action.RESET, targets, PATIENT, RecordingGate("keep"))
    batch.abandon()
    assert batch.wait_done(30)
    assert {reply.verdict for reply in replies} == {Verdict.DROPPED}
    assert sorted(reply.node for reply in replies) == [target.node for target in targets]
    assert sum(sim.received("reset").values()) == 0


def test_nothing_to_do(driver: Driver) -> None:
    batch, replies = start(driver, Action.STAT, [], Timing(), RecordingGate())
    assert batch.wait_done(5)
    assert batch.wait_settled(5)
    assert replies == []


def test_many_times_over(driver: Driver, sim: SimControl, simulator: Simulator) -> None:
    targets = [Target(f"n{i}", f"127.1.0.{i}", b"ADMIN", b"ADMIN", simulator.port) for i in range(1, 5)]
    for _ in range(3):
        assert {reply.text for reply in run(driver, Action.STAT, targets).values()} == {"off"}
