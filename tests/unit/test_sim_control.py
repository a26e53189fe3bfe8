"""The simulator as a whole: its control requests, its socket, its faults of the network, its command line."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError, UnavailableError
from lab.client import SimControl
from lab.fleet import Fleet, Settings
from lab.sim import main, parse_fault
from lab.simulator import Simulator

PING = bytes.fromhex("0600ff06000011be802a0000")


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(Settings(count=300, control=str(tmp_path / "control"), seed=1)) as running:
        yield running


@pytest.fixture
def console() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(5.0)
        yield made


def ping(console: socket.socket, sim: Simulator, *addresses: str) -> None:
    for address in addresses:
        console.sendto(PING, (address, sim.port))


def test_every_address_answers_for_itself(sim: Simulator, console: socket.socket) -> None:
    addresses = ["127.1.0.1", "127.1.0.255", "127.1.1.0", "127.1.1.44"]
    for address in addresses:
        ping(console, sim, address)
        assert console.recvfrom(64)[1] == (address, sim.port)
    ping(console, sim, "127.1.1.45", "127.1.0.1")
    assert console.recvfrom(64)[1] == ("127.1.0.1", sim.port)
    assert sim.control.totals()["strays"] == 1
    assert list(sim.fleet.bmcs)[-1] == "127.1.1.44"


def test_faults_of_the_network(sim: Simulator, console: socket.socket) -> None:
    sim.control.faults("127.1.0.1-127.1.0.2", silent=True)
    sim.control.faults("127.1.0.3", duplicate=1.0)
    sim.control.faults("127.1.0.4", loss=1.0)
    sim.control.faults(["127.1.0.5", "127.1.0.6"], latency=0.05)
    ping(console, sim, *(f"127.1.0.{n}" for n in (5, 1, 2, 4, 6, 3, 7)))
    answers = [console.recvfrom(64)[1][0] for _ in range(7)]
    assert answers == ["127.1.0.3"] * 4 + ["127.1.0.7", "127.1.0.5", "127.1.0.6"]
    assert sim.control.heal() == 300
    ping(console, sim, "127.1.0.1")
    assert console.recvfrom(64)[1][0] == "127.1.0.1"
    assert sim.control.counters("127.1.0.1")["127.1.0.1"]["datagrams"] == 2


def test_a_bmc_may_be_deaf_to_one_source_and_answer_another(sim: Simulator, console: socket.socket) -> None:
    console.bind(("127.0.0.2", 0))
    sim.control.faults("127.1.0.1", deaf_to="127.0.0.2")
    sim.control.faults("127.1.0.2", deaf_to="127.0.0.3")
    ping(console, sim, "127.1.0.1", "127.1.0.2")
    assert console.recvfrom(64)[1][0] == "127.1.0.2"
    sim.control.faults("127.1.0.1", deaf_to="")
    ping(console, sim, "127.1.0.1")
    assert console.recvfrom(64)[1][0] == "127.1.0.1"


def test_loss_is_a_part_and_the_same_for_a_seed() -> None:
    def answered() -> list[str]:
        with (
            Simulator(Settings(count=50, seed=7)) as sim,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console,
        ):
            console.settimeout(5.0)
            sim.control.faults("127.1.0.1-127.1.0.49", loss=0.3)
            ping(console, sim, *sim.fleet.bmcs)
            got: list[str] = []
            while not got or got[-1] != "127.1.0.50":
                got.append(console.recvfrom(64)[1][0])
            return got

    first = answered()
    assert 5 < len(first) < 45
    assert answered() == first


def test_control_socket_and_thread_say_the_same(sim: Simulator) -> None:
    where = str(sim.fleet.settings.control)
    assert Path(where).stat().st_mode & 0o077 == 0
    with SimControl.connect(where) as remote, sim.control as local:
        assert remote.hello() == {"port": sim.port, "base": "127.1.0.1", "count": 300}
        assert remote.power("127.1.0.1-127.1.0.9", on=True) == 9
        assert local.totals()["powered"] == 9
        assert remote.state() == local.state()
        assert len(remote.counters()) == 300
        assert set(remote.executed("reset").values()) == {0}
        assert remote.reset_counters() == 300
        assert remote.credentials("all", "root", "calvin") == 300
        assert "calvin" not in json.dumps(remote.state())


def test_control_over_loopback_tcp() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    with Simulator(Settings(control=where)), SimControl.connect(where) as remote:
        assert remote.hello()["count"] == 1
    with pytest.raises(RequestError, match=r"only 127\.0\.0\.1"):
        SimControl.connect("10.0.0.1:99")


def test_many_consoles_of_the_control_socket_at_once(sim: Simulator) -> None:
    answers: list[int] = []

    def ask() -> None:
        with SimControl.connect(str(sim.fleet.settings.control)) as remote:
            answers.extend(len(remote.state()) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [300] * 40


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff\xfe", b'{"op": "fly"}', b"[" * 100_000, b""])
def test_bad_lines_are_answered_and_the_connection_stays(sim: Simulator, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(sim.fleet.settings.control))
        channel.sendall(line + b'\n{"op": "hello"}\n')
        reader = channel.makefile("rb")
        assert json.loads(reader.readline())["ok"] is False
        assert json.loads(reader.readline())["ok"] is True
        reader.close()


@pytest.mark.parametrize(
    ("where", "faults", "message"),
    [
        ("127.1.9.9", {"silent": True}, "127.1.9.9 is no BMC"),
        ("127.1.0.9-127.1.0.1", {"silent": True}, "goes up"),
        ("0.0.0.0-255.255.255.255", {"silent": True}, "at most"),
        ("n1", {"silent": True}, "not an address"),
        (None, {"silent": True}, "not an address"),
        ("all", {"asleep": True}, "unknown fault 'asleep'"),
        ("all", {"loss": 1.5}, "loss takes a number from 0 to 1"),
        ("all", {"silent": 1}, "silent is true or false"),
        ("all", {"busy": -2}, "busy takes a whole number"),
        ("all", {"busy": "x"}, "busy takes a whole number"),
        ("all", {"latency": float("nan")}, "latency takes"),
        ("all", {"deaf_to": "sn1"}, "deaf_to takes an IPv4 address"),
        ("all", {}, "'set' is an object"),
    ],
)
def test_refused_faults_change_nothing(where: str, faults: dict[str, float], message: str) -> None:
    fleet = Fleet(Settings(count=9))
    before = fleet.execute({"op": "state"}, 0)
    with pytest.raises(RequestError, match=message):
        SimControl(lambda request: fleet.execute(request, 0)).faults(where, **faults)
    assert fleet.execute({"op": "state"}, 0) == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_OPS = ["hello", "faults", "heal", "power", "credentials", "state", "counters", "reset", "totals"]


@given(
    st.fixed_dictionaries({"op": st.sampled_from(_OPS)}, optional={"where": _JSON, "set": _JSON, "on": _JSON})
    | _JSON
)
@settings(max_examples=200, deadline=None)
def test_no_control_request_raises(request: object) -> None:
    assert Fleet(Settings(count=2)).execute(request, 0.0)["ok"] in (True, False)


def test_a_path_in_use_is_refused_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with Simulator(Settings(control=str(path))):
        with pytest.raises(UnavailableError, match="cannot be had"):
            Simulator(Settings(control=str(path)))
        with SimControl.connect(str(path)) as remote:
            assert remote.hello()["count"] == 1
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Simulator(Settings(control=str(path))), SimControl.connect(str(path)) as remote:
        assert remote.hello()["count"] == 1
    with pytest.raises(UnavailableError, match="no simulator answers"):
        SimControl.connect(str(path))


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with Simulator(Settings()) as sim:
        assert main(["--port", str(sim.port)]) == 1
    assert f"UDP port {sim.port} cannot be had" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "count 0"),
        (["--base", "bmc1"], "'bmc1'"),
        (["--base", "255.255.255.255", "--count", "2"], "cannot hold 2"),
        (["--port", "70000"], "port 70000"),
        (["--session-timeout", "nan"], "more than 0"),
        (["--password", "x" * 21], "at most 16 bytes of user and 20"),
        (["--password-file", "/nonexistent"], "/nonexistent cannot be read"),
        (["--fault", "silent"], "the form is"),
        (["--fault", "latency=all"], "needs a value"),
        (["--fault", "deaf_to=all"], "needs a value"),
        (["--fault", "asleep=all"], "unknown fault 'asleep'"),
        (["--fault", "loss:much=all"], "'much' is not a number"),
        (["--fault", "silent=127.9.9.9"], "no BMC"),
        (["--latency", "-1"], "latency takes"),
        (["--control", "10.0.0.1:99"], "only 127.0.0.1"),
        (["--control", "/nonexistent/control"], "cannot be had"),
    ],
)
def test_bad_options_end_with_status_1_and_a_reason(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_fault_options() -> None:
    assert parse_fault("silent=127.1.0.5") == ("127.1.0.5", {"silent": True})
    assert parse_fault("busy=all") == ("all", {"busy": -1})
    assert parse_fault("busy:2=all") == ("all", {"busy": 2})
    assert parse_fault("deaf_to:127.0.0.2=all") == ("all", {"deaf_to": "127.0.0.2"})
    assert parse_fault("loss:0.25=127.1.0.1-127.1.0.9") == ("127.1.0.1-127.1.0.9", {"loss": 0.25})


@pytest.mark.parametrize("user", ["x" * 17, 5, "\ud800"])
def test_credentials_that_ipmi_cannot_carry_are_refused(user: object) -> None:
    request = {"op": "credentials", "where": "all", "user": user, "password": "hidden"}
    answer = Fleet(Settings()).execute(request, 0.0)
    assert not answer["ok"] and "hidden" not in answer["error"]


def test_a_stopped_simulator_says_so() -> None:
    with Simulator(Settings()) as sim:
        control = sim.control
    with pytest.raises(UnavailableError, match="has stopped"):
        control.hello()
