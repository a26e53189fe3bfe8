"""The Redfish driver against sushy-tools' emulator, which we did not write: TLS, HTTP basic, no sessions."""

from collections.abc import Iterator

import pytest
from bmc_rig import RecordingGate, run
from redfish_rig import Certificate, Emulator, make_certificate, target

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from core.webaccess import Web
from drivers.bmc.contract import Target, Verdict
from drivers.bmc.redfish import RedfishDriver

#: Action, powered, printed, sent.
ACTIONS = [
    (Action.STAT, True, "on", ""),
    (Action.STAT, False, "off", ""),
    (Action.ON, False, "on", "on"),
    (Action.ON, True, "on", ""),
    (Action.OFF, True, "off", "off"),
    (Action.OFF, False, "off", ""),
    (Action.SOFTOFF, True, "softoff", "softoff"),
    (Action.SOFTOFF, False, "off", ""),
    (Action.RESET, True, "reset", "reset"),
    (Action.RESET, False, "off", ""),
    (Action.BOOT, True, "reset", "reset"),
    (Action.BOOT, False, "on", "on"),
]


def uuid_of(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Emulator]:
    powered = {uuid_of(number): case[1] for number, case in enumerate(ACTIONS)}
    powered |= {uuid_of(100): True, uuid_of(101): False}
    running = Emulator(tmp_path_factory.mktemp("sushy"), certificate, powered)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def driver() -> Iterator[RedfishDriver]:
    made = RedfishDriver()
    yield made
    made.close()


def at(emulator: Emulator, certificate: Certificate, number: int) -> Target:
    web = Web("127.0.0.1", "verify", certificate.ca, f"/redfish/v1/Systems/{uuid_of(number)}")
    return target(emulator.port, web)


@pytest.mark.parametrize("number", range(len(ACTIONS)), ids=lambda n: f"{ACTIONS[n][0]}-{ACTIONS[n][1]}")
def test_action(driver: RedfishDriver, emulator: Emulator, certificate: Certificate, number: int) -> None:
    action, _, text, sent = ACTIONS[number]
    gate = RecordingGate()
    reply = run(driver, action, [at(emulator, certificate, number)], gate=gate)["n1"]
    assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, text, sent)
    assert gate.requests == ({("n1", sent): 1} if sent else {})
    assert gate.looks["n1"] == (1 if sent else 0)
    assert emulator.resets(uuid_of(number)) == (1 if sent else 0)


def test_what_the_service_does_not_offer(
    driver: RedfishDriver, emulator: Emulator, certificate: Certificate
) -> None:
    gate = RecordingGate()
    reply = run(driver, Action.CYCLE, [at(emulator, certificate, 100)], gate=gate)["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "")
    assert "PowerCycle" in reply.text
    assert "ForceOff, ForceOn, ForceRestart, GracefulRestart, GracefulShutdown, Nmi, On" in reply.text
    assert not gate.requests


def test_refused_by_the_service(driver: RedfishDriver, emulator: Emulator, certificate: Certificate) -> None:
    reply = run(driver, Action.NMI, [at(emulator, certificate, 100)])["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "nmi")
    assert "Power state Nmi is not supported" in reply.text


def test_boot_device(driver: RedfishDriver, emulator: Emulator, certificate: Certificate) -> None:
    there = at(emulator, certificate, 100)
    labels = {
        BootDevice.NET: "Network", BootDevice.HD: "Hard Drive", BootDevice.CD: "CD/DVD",
        BootDevice.DEFAULT: "boot override inactive",
    }  # fmt: skip
    for device, label in labels.items():
        gate = RecordingGate()
        reply = run(driver, BootRequest(device, persistent=True, uefi=True), [there], gate=gate)["n1"]
        assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, label, "setboot")
        assert gate.requests == {("n1", "setboot"): 1}
        asked = run(driver, BootRequest(BootDevice.STAT), [there])["n1"]
        assert (asked.verdict, asked.text, asked.sent) == (Verdict.OK, label, "")
    refused = run(driver, BootRequest(BootDevice.BIOS), [there])["n1"]
    assert (refused.verdict, refused.error, refused.sent) == (Verdict.NODE, "BmcRefused", "")
    assert "it allows: Cd, Hdd, Pxe" in refused.text


def test_wrong_password(driver: RedfishDriver, emulator: Emulator, certificate: Certificate) -> None:
    web = Web("127.0.0.1", "verify", certificate.ca)
    reply = run(driver, Action.RESET, [target(emulator.port, web, "swordfish")])["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert reply.text.startswith("Incorrect password provided")
    assert "swordfish" not in repr(reply)


def test_several_systems_need_a_name(
    driver: RedfishDriver, emulator: Emulator, certificate: Certificate
) -> None:
    web = Web("127.0.0.1", "verify", certificate.ca)
    reply = run(driver, Action.STAT, [target(emulator.port, web)])["n1"]
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    assert "has 14 systems; name one: bmc=https://…/redfish/v1/Systems/" in reply.text


def test_many_at_once(driver: RedfishDriver, emulator: Emulator, certificate: Certificate) -> None:
    one = at(emulator, certificate, 101)
    targets = [
        Target(f"n{number}", one.address, one.username, one.password, one.port, one.web)
        for number in range(40)
    ]
    assert {reply.text for reply in run(driver, Action.STAT, targets).values()} == {"off"}
