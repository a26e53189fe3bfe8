"""The Redfish driver against a service that fails on demand: what leaves, how often, and what is told."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bmc_rig import PATIENT, QUICK, RecordingGate, run, start
from redfish_rig import (
    PASSWORD,
    RESET,
    SESSIONS,
    SYSTEM,
    USER,
    Certificate,
    Fault,
    Service,
    State,
    after,
    answer,
    hang,
    hang_up,
    make_certificate,
    raw,
    target,
    times,
)  # fmt: skip

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from core.webaccess import Web
from drivers.bmc.contract import Reply, Target, Timing, Verdict
from drivers.bmc.redfish import RedfishDriver

POST = ("POST", RESET)
ROOT = ("GET", "/redfish/v1/")
BAD = {
    "error": {
        "message": "general",
        "@Message.ExtendedInfo": [
            {"Message": "a note", "MessageSeverity": "OK"},
            {"Message": "The host\nis \x1b[31mlocked", "MessageSeverity": "Critical"},
            {"Message": "a warning", "Severity": "Warning"},
        ],
    }
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def service(certificate: Certificate) -> Iterator[Service]:
    running = Service(certificate)
    yield running
    running.stop()


@pytest.fixture
def state(service: Service) -> State:
    return service.state


@pytest.fixture
def driver() -> Iterator[RedfishDriver]:
    made = RedfishDriver()
    yield made
    made.close()


@pytest.fixture
def there(service: Service, certificate: Certificate) -> Target:
    return target(service.port, Web("127.0.0.1", "verify", certificate.ca))


def ask(driver: RedfishDriver, there: Target, action: Action, timing: Timing = PATIENT) -> Reply:
    return run(driver, action, [there], timing)["n1"]


# -- sessions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "reset_type"),
    [
        (Action.OFF, "ForceOff"), (Action.SOFTOFF, "GracefulShutdown"), (Action.RESET, "ForceRestart"),
        (Action.BOOT, "ForceRestart"), (Action.CYCLE, "PowerCycle"), (Action.NMI, "Nmi"),
    ],
)  # fmt: skip
def test_reset_types_and_a_session_that_is_closed(
    driver: RedfishDriver, there: Target, state: State, action: Action, reset_type: str
) -> None:
    assert ask(driver, there, action).verdict is Verdict.OK
    driver.close()
    assert state.bodies == [{"ResetType": reset_type}]
    assert (state.received[POST], state.received["POST", SESSIONS]) == (1, 1)
    assert not state.open_sessions


@pytest.mark.parametrize("link", [False, True], ids=["no link", "404"])
def test_no_session_service(driver: RedfishDriver, there: Target, state: State, link: bool) -> None:
    state.sessions = link
    state.faults["POST", SESSIONS] = answer(404)
    assert ask(driver, there, Action.STAT).text == "on"


def test_no_session_left(driver: RedfishDriver, there: Target, state: State) -> None:
    info = {"MessageId": "Base.1.8.SessionLimitExceeded", "Message": "too many"}
    state.faults["POST", SESSIONS] = answer(400, {"error": {"@Message.ExtendedInfo": [info]}})
    assert ask(driver, there, Action.STAT).text == "on"


def test_sessions_are_closed_after_failures_too(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults[POST] = hang
    assert ask(driver, there, Action.RESET, QUICK).verdict is Verdict.LOST
    state.faults[POST] = answer(500)
    assert ask(driver, there, Action.RESET).verdict is Verdict.NODE
    batch, _ = start(driver, Action.RESET, [there], PATIENT, RecordingGate("refuse"))
    assert batch.wait_done(30)
    driver.close()
    assert not state.open_sessions
    assert sum(count for (method, _), count in state.received.items() if method == "DELETE") == 3


@pytest.mark.parametrize("sessions", [True, False])
def test_wrong_password(driver: RedfishDriver, there: Target, state: State, sessions: bool) -> None:
    state.sessions = sessions
    wrong = replace(there, password=b"swordfish")
    reply = ask(driver, wrong, Action.RESET)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcAuthError", "")
    assert reply.text.startswith("Incorrect password provided")
    assert "127.0.0.1" in reply.text
    assert "swordfish" not in repr(reply)
    assert USER not in reply.text


def test_a_login_that_is_echoed_is_not_told(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults["POST", SESSIONS] = answer(400, {"error": {"message": f"bad {USER} {PASSWORD}"}})
    reply = ask(driver, there, Action.STAT)
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    assert PASSWORD not in reply.text


def test_password_must_be_changed(driver: RedfishDriver, there: Target, state: State) -> None:
    info = {"MessageId": "Base.1.8.PasswordChangeRequired"}
    state.faults["POST", SESSIONS] = answer(403, {"@Message.ExtendedInfo": [info]})
    reply = ask(driver, there, Action.STAT)
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcAuthError")
    assert "password changed" in reply.text


# -- what changes the node leaves once -------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [hang, hang_up, after(hang), raw(b"HTTP/1.1 "), raw(b"\0\1nonsense\r\n\r\n")]
)
@pytest.mark.parametrize("action", [Action.RESET, Action.CYCLE, Action.NMI, Action.SUSPEND, Action.WAKE])
def test_no_answer_to_a_reset(
    driver: RedfishDriver, there: Target, state: State, action: Action, fault: Fault
) -> None:
    state.faults[POST] = fault
    state.allowed = ["ForceRestart", "PowerCycle", "Nmi", "Suspend", "Resume"]
    gate = RecordingGate()
    reply = run(driver, action, [there], QUICK, gate)["n1"]
    assert (reply.verdict, reply.sent, reply.error) == (Verdict.LOST, action.value, "BmcSilent")
    assert state.received[POST] == 1
    assert gate.looks["n1"] == 1


@pytest.mark.parametrize("status", [301, 307, 308, 429, 500, 503])
def test_a_reset_that_is_not_taken_is_not_repeated(
    driver: RedfishDriver, there: Target, state: State, status: int
) -> None:
    state.faults[POST] = answer(status, Location=f"https://127.0.0.1:{there.port}{RESET}", Retry_After="0")
    reply = ask(driver, there, Action.RESET)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "reset")
    assert f"HTTP {status}" in reply.text
    assert state.received[POST] == 1


@pytest.mark.parametrize("status", [502, 504])
def test_a_reset_of_which_nobody_knows(
    driver: RedfishDriver, there: Target, state: State, status: int
) -> None:
    state.faults[POST] = answer(status)
    reply = ask(driver, there, Action.RESET)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.LOST, "BmcRefused", "reset")
    assert reply.text == f"BMC 127.0.0.1 took 'reset' and said: HTTP {status}"
    assert state.received[POST] == 1


def test_cut_short_after_the_status_is_an_answer(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults[POST] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    assert ask(driver, there, Action.RESET).verdict is Verdict.OK
    state.faults[POST] = raw(b"HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{")
    assert ask(driver, there, Action.RESET).verdict is Verdict.NODE
    assert state.received[POST] == 2


def test_a_connection_that_closed_while_the_mark_was_written_is_opened_again(
    driver: RedfishDriver, there: Target, state: State
) -> None:
    state.faults["GET", SYSTEM] = times(1, answer(200, {
        "PowerState": "On", "Actions": {"#ComputerSystem.Reset": {"target": RESET}},
    }, Connection="close"))  # fmt: skip
    assert ask(driver, there, Action.RESET).verdict is Verdict.OK
    assert state.received[POST] == 1


def test_busy_for_what_may_be_repeated(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults[POST] = times(2, answer(503))
    gate = RecordingGate()
    assert run(driver, Action.OFF, [there], gate=gate)["n1"].verdict is Verdict.OK
    assert (state.received[POST], gate.looks["n1"], sum(gate.requests.values())) == (3, 3, 1)


@pytest.mark.parametrize("gate", [RecordingGate("refuse"), RecordingGate(may_send=False)])
@pytest.mark.parametrize("command", [Action.RESET, Action.OFF, BootRequest(BootDevice.NET)])
def test_not_permitted(
    driver: RedfishDriver, there: Target, state: State, gate: RecordingGate, command: Action | BootRequest
) -> None:
    reply = run(driver, command, [there], gate=gate)["n1"]
    assert (reply.verdict, reply.sent) == (Verdict.DROPPED, "")
    assert state.bodies == []


def test_abandon(driver: RedfishDriver, there: Target, state: State) -> None:
    targets = [replace(there, node=f"n{number}") for number in range(300)]
    batch, replies = start(driver, Action.RESET, targets, PATIENT, RecordingGate("keep"))
    batch.permit(["someone", "else"])
    batch.refuse(["someone", "else"])
    batch.abandon()
    assert batch.wait_done(30)
    assert {reply.verdict for reply in replies} == {Verdict.DROPPED}
    assert sorted(reply.node for reply in replies) == sorted(one.node for one in targets)
    assert state.bodies == []


def test_abandon_after_sending(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults[POST] = hang
    batch, replies = start(driver, Action.RESET, [there], PATIENT, RecordingGate())
    while not state.received[POST]:
        assert not batch.wait_done(0.05)
    batch.abandon()
    assert batch.wait_done(30)
    assert (replies[0].verdict, replies[0].sent) == (Verdict.LOST, "reset")


# -- allowed values --------------------------------------------------------------------------------


@pytest.mark.parametrize("info", [True, False], ids=["ActionInfo", "AllowableValues"])
def test_allowed_values_are_looked_at_first(
    driver: RedfishDriver, there: Target, state: State, info: bool
) -> None:
    state.allowed, state.action_info = ["On", "ForceOff"], info
    gate = RecordingGate()
    reply = run(driver, Action.RESET, [there], gate=gate)["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "")
    assert "does not offer the reset type ForceRestart; it allows: ForceOff, On" in reply.text
    assert not gate.requests
    assert ask(driver, there, Action.OFF).verdict is Verdict.OK


@pytest.mark.parametrize(("action", "reset_type"), [(Action.SUSPEND, "Suspend"), (Action.WAKE, "Resume")])
def test_suspend_and_wake_where_the_service_names_them(
    driver: RedfishDriver, there: Target, state: State, action: Action, reset_type: str
) -> None:
    reply = ask(driver, there, action)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "UnsupportedAction", "")
    assert reply.text.startswith("Invalid or unsupported command: ")
    state.allowed = ["On", "ForceOff"]
    reply = ask(driver, there, action)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "")
    assert f"does not offer the reset type {reset_type}; it allows: ForceOff, On" in reply.text
    assert not state.bodies
    state.allowed.append(reset_type)
    reply = ask(driver, there, action)
    assert (reply.verdict, reply.text, reply.sent) == (Verdict.OK, action.value, action.value)
    assert state.bodies == [{"ResetType": reset_type}]


def test_a_node_that_is_off_is_not_suspended(driver: RedfishDriver, there: Target, state: State) -> None:
    state.allowed, state.powered = ["Suspend"], False
    reply = ask(driver, there, Action.SUSPEND)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "")
    assert reply.text.startswith("System is off, cannot be suspended (BMC ")
    assert not state.bodies


def test_force_on_where_on_is_not_offered(driver: RedfishDriver, there: Target, state: State) -> None:
    state.allowed, state.powered = ["ForceOn", "ForceOff"], False
    assert ask(driver, there, Action.ON).verdict is Verdict.OK
    assert state.bodies == [{"ResetType": "ForceOn"}]


# -- boot device -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "body", "label"),
    [
        (BootRequest(BootDevice.NET), ("Once", "Pxe", None), "Network"),
        (BootRequest(BootDevice.BIOS, True, True), ("Continuous", "BiosSetup", "UEFI"), "BIOS Setup"),
        (BootRequest(BootDevice.DEFAULT), ("Disabled", "None", None), "boot override inactive"),
    ],
)
def test_boot_device(
    driver: RedfishDriver, there: Target, state: State, request_: BootRequest,
    body: tuple[str, str, str | None], label: str,
) -> None:  # fmt: skip
    assert run(driver, BootRequest(BootDevice.STAT), [there])["n1"].text == "boot override inactive"
    assert run(driver, request_, [there])["n1"].text == label
    enabled, device, mode = body
    wanted = {"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": device}
    assert state.bodies == [{"Boot": wanted | ({"BootSourceOverrideMode": mode} if mode else {})}]
    assert run(driver, BootRequest(BootDevice.STAT), [there])["n1"].text == label


def test_etag_that_the_service_does_not_take_back(driver: RedfishDriver, there: Target, state: State) -> None:
    state.faults["PATCH", SYSTEM] = times(1, answer(412))
    assert run(driver, BootRequest(BootDevice.NET), [there])["n1"].text == "Network"
    assert state.received["PATCH", SYSTEM] == 2


# -- certificates ----------------------------------------------------------------------------------


def test_certificate_that_nobody_vouches_for(driver: RedfishDriver, there: Target, state: State) -> None:
    reply = ask(driver, replace(there, web=Web("127.0.0.1", "verify")), Action.RESET)
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    for word in ("127.0.0.1", "site.bmcca", "#sha256:"):
        assert word in reply.text
    assert not state.received


@pytest.mark.parametrize(
    ("host", "good"), [("bmc7.test", True), ("bmc8.test", False), ("", True), (".", False)]
)
def test_certificate_is_for_the_name_in_the_tables(
    driver: RedfishDriver, there: Target, state: State, certificate: Certificate, host: str, good: bool
) -> None:
    reply = ask(driver, replace(there, web=Web(host, "verify", certificate.ca)), Action.STAT)
    assert reply.verdict is (Verdict.OK if good else Verdict.NODE)
    assert bool(state.received) is good


def test_pinned(driver: RedfishDriver, there: Target, state: State, certificate: Certificate) -> None:
    wrong = Web("elsewhere", "sha256:" + "0" * 64)
    reply = ask(driver, replace(there, web=wrong), Action.RESET)
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    assert certificate.fingerprint in reply.text
    assert not state.received
    right = Web("elsewhere", "sha256:" + certificate.fingerprint)
    assert ask(driver, replace(there, web=right), Action.STAT).text == "on"


def test_accepted(driver: RedfishDriver, there: Target) -> None:
    assert ask(driver, replace(there, web=Web("elsewhere", "accept")), Action.STAT).text == "on"


def test_unusable_authority(driver: RedfishDriver, there: Target) -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    reply = ask(driver, replace(there, web=Web("127.0.0.1", "verify", broken)), Action.STAT)
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
    assert "site.bmcca" in reply.text


def test_plain_http(driver: RedfishDriver, there: Target) -> None:
    plain = Service(None)
    try:
        asked = replace(there, port=plain.port, web=Web("127.0.0.1", "plain"))
        assert ask(driver, asked, Action.STAT).text == "on"
        reply = ask(driver, replace(asked, web=Web("127.0.0.1", "accept")), Action.STAT, QUICK)
        assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")
        assert "no TLS connection" in reply.text
    finally:
        plain.stop()


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [ROOT, ("POST", SESSIONS), ("GET", SYSTEM)])
@pytest.mark.parametrize(
    "fault",
    [
        answer(503),
        answer(503, Retry_After="1"),
        hang_up,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    ],
)
def test_busy_or_broken_then_well(
    driver: RedfishDriver, there: Target, state: State, place: tuple[str, str], fault: Fault
) -> None:
    state.faults[place] = times(2, fault)
    assert ask(driver, there, Action.STAT).text == "on"
    assert state.received[place] == 3


@pytest.mark.parametrize(
    ("fault", "verdict", "error", "words"),
    [
        (answer(503), Verdict.NODE, "BmcRefused", "Node busy"),
        (hang, Verdict.WAY, "BmcSilent", "did not answer within 1.2 s (timeout)"),
        (hang_up, Verdict.WAY, "BmcSilent", "cannot be reached"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), Verdict.WAY, "BmcSilent", "cut short"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Verdict.NODE, "BmcRefused", "does not speak HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n<html>hello</html>"), Verdict.NODE, "BmcRefused", "no JSON object"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 900_000), Verdict.NODE, "BmcRefused", "no JSON object"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 9_000_000), Verdict.NODE, "BmcRefused", "longer than"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: z\r\n" * 90_000), Verdict.NODE, "BmcRefused", "not speak HTTP"),
        (answer(200, []), Verdict.NODE, "BmcRefused", "no JSON object"),
        (answer(200, {}), Verdict.NODE, "BmcRefused", "has no systems"),
        (answer(404), Verdict.NODE, "BmcRefused", "HTTP 404"),
        (answer(400, BAD), Verdict.NODE, "BmcRefused", "HTTP 400: The host is  [31mlocked"),
        (answer(302, Location="http://10.0.0.1/"), Verdict.NODE, "BmcRefused", "redirects to http://10.0.0.1/"),
    ],
)  # fmt: skip
def test_bad_root(
    driver: RedfishDriver, there: Target, state: State, fault: Fault, verdict: Verdict, error: str, words: str
) -> None:
    state.sessions = False
    state.faults[ROOT] = fault
    gate = RecordingGate()
    reply = run(driver, Action.RESET, [there], QUICK, gate)["n1"]
    assert (reply.verdict, reply.error, reply.sent) == (verdict, error, "")
    assert words in reply.text
    assert reply.text.isprintable()
    assert not gate.requests


@pytest.mark.parametrize(
    "system", [{}, {"PowerState": None}, {"PowerState": 7}, {"PowerState": "On", "Actions": []}, {
        "PowerState": "On", "Actions": {"#ComputerSystem.Reset": {"target": "/x y\r\nEvil: 1"}}}],
)  # fmt: skip
def test_system_that_makes_no_sense(
    driver: RedfishDriver, there: Target, state: State, system: dict[str, object]
) -> None:
    state.faults["GET", SYSTEM] = answer(200, system)
    reply = ask(driver, there, Action.RESET)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.NODE, "BmcRefused", "")


def test_going_down_is_not_on(driver: RedfishDriver, there: Target, state: State) -> None:
    reset = {"#ComputerSystem.Reset": {"target": RESET}}
    state.faults["GET", SYSTEM] = answer(200, {"PowerState": "PoweringOff", "Actions": reset})
    assert (ask(driver, there, Action.ON).text, state.bodies) == ("on", [{"ResetType": "On"}])


# -- silent ones -----------------------------------------------------------------------------------


def test_refused_connection(driver: RedfishDriver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        reply = ask(driver, target(port, Web("127.0.0.1")), Action.RESET)
    assert (reply.verdict, reply.error, reply.sent) == (Verdict.WAY, "BmcSilent", "")
    assert reply.text == "BMC 127.0.0.1 cannot be reached: Connection refused"


@pytest.mark.parametrize(
    ("knocks", "count"),
    [(3, 40), (0, 8), (0, 20)],
    ids=["do not let us in", "accept and say nothing", "more than have room"],
)
def test_silent_ones_hold_nobody_up(there: Target, service: Service, knocks: int, count: int) -> None:
    driver = RedfishDriver(window=4)
    timing = Timing(timeout_s=30, retries=10)
    with socket.socket() as deaf, contextlib.ExitStack() as fillers:
        deaf.bind(("127.0.0.1", 0))
        # A queue that is full drops what comes, as a host that is not there does.
        deaf.listen(0 if knocks else 64)
        for _ in range(knocks):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        mute = replace(there, port=deaf.getsockname()[1])
        silent = [replace(mute, node=f"s{number}") for number in range(count)]
        living = [replace(there, node=f"n{number}") for number in range(12)]
        batch, replies = start(driver, Action.STAT, [*silent, *living], timing, RecordingGate())
        while len(replies) < len(living):
            assert not batch.wait_done(0.05)
        assert batch.wait_settled(60)
        assert {reply.node for reply in replies} == {one.node for one in living}
        assert ask(driver, replace(there, node="n1"), Action.STAT).text == "on"
        batch.abandon()
        assert batch.wait_done(30)
    assert {reply.verdict for reply in replies if reply.node.startswith("s")} == {Verdict.DROPPED}
    driver.close()


def test_unusable_address(driver: RedfishDriver, there: Target) -> None:
    for address, port in (("bmc7", 443), ("10.0.0.300", 443), ("127.0.0.1", 70000), ("", 443)):
        reply = ask(driver, replace(there, address=address, port=port), Action.STAT)
        assert (reply.verdict, reply.error) == (Verdict.NODE, "NoBmcAddress")


def test_nothing_to_do_and_starting_anew(driver: RedfishDriver, there: Target) -> None:
    assert run(driver, Action.STAT, []) == {}
    driver.close()
    driver.close()
    assert ask(driver, there, Action.STAT).text == "on"
