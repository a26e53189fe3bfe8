"""Nodes report their status: the real port, the real tables, and the script that nodes carry."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Shell
from sqlalchemy import make_url

from core.errors import RequestError, UnavailableError
from db import grants, nodestatus
from db.engine import open_engine, writing
from db.home import open_home
from drivers.statusport import Limits, StatusPort, listen
from routing.nodestatus import Registrar
from tasks import statuskeeper
from tasks.statuskeeper import StatusProcess

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "node" / "serval-status"
CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-9] groups=compute servicenode=sn1,sn2 ip=|127.7.0.($1)|
mkdef -t node -o m1 groups=other servicenode=sn2 nicips.eth0=127.7.1.1|127.7.1.2
mkdef -t node -o twin1,twin2 groups=twins ip=127.7.2.1 servicenode=sn1
"""


class Port:
    """A port in a thread of its own; `away` is the database's, which hangs until it `answers`."""

    def __init__(self, registrar: Registrar, limits: Limits) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.registrar, self.away, self.batches = registrar, False, list[int]()
        self._socket = listen(0)
        self.number = int(self._socket.getsockname()[1])
        self._status = StatusPort(registrar.who, self._record, limits)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        async def serve() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await self._status.serve(self._socket)

        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(serve())

    def _record(self, reports: object) -> set[str]:
        self.answers.wait()
        if self.away:
            raise UnavailableError("the database is away")
        said = list(reports)  # type: ignore[call-overload]
        self.batches.append(len(said))
        return self.registrar.record(said)

    def close(self) -> None:
        if self._thread.is_alive():
            assert self._task is not None
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=5)

    def connect(self, node: str) -> socket.socket:
        """A connection from a node's address."""
        made = socket.socket()
        made.bind((node, 0))
        made.settimeout(10)
        made.connect(("127.0.0.1", self.number))
        return made

    def say(self, address: str, *lines: str) -> str:
        """All that is answered to a node that says these lines."""
        heard = b""
        with self.connect(address) as talk, contextlib.suppress(ConnectionError):
            talk.sendall("".join(f"{line}\n" for line in lines).encode())
            with contextlib.suppress(OSError):  # who is refused may have been told so already
                talk.shutdown(socket.SHUT_WR)
            while some := talk.recv(4096):
                heard += some
        return heard.decode()


Open = Callable[..., Port]


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    made = Shell(home_env, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


@pytest.fixture
def opened(shell: Shell) -> Iterator[Open]:
    """Opens ports for a service node (None: the management node)."""
    ports: list[Port] = []
    moved: list[str] = []

    def advance(nodes: list[str]) -> set[str]:
        moved.extend(nodes)
        return {"n9"} & set(nodes)

    def start(sn: str | None = None, **limits: float) -> Port:
        engine = open_engine(shell.env["SERVAL_DATABASE"])
        serves = None if sn is None else lambda name: name == sn
        ports.append(Port(Registrar(engine, "mn1", serves, advance), Limits(gather_s=0.02, **limits)))  # type: ignore[arg-type]
        ports[-1].moved = moved  # type: ignore[attr-defined]
        return ports[-1]

    yield start
    for port in ports:
        port.close()


def status(shell: Shell, node: str) -> str:
    return shell.ok(f"nodels {node} nodelist.status").partition(": ")[2].strip()


def test_what_a_node_says_is_recorded_before_it_hears_done(shell: Shell, opened: Open) -> None:
    port = opened("sn1")
    assert port.say("127.7.0.3", "installstatus booted") == "ready\ndone\n"
    assert status(shell, "n3") == "booted"
    when = shell.ok("nodels n3 nodelist.statustime").partition(": ")[2].strip()
    assert abs(time.mktime(time.strptime(when, "%m-%d-%Y %H:%M:%S")) - time.time()) < 60
    assert port.say("127.7.0.3", "installstatus booting", "installstatus failed").endswith("done\ndone\n")
    assert status(shell, "n3") == "failed"
    assert status(shell, "n4") == ""


def test_only_a_known_node_and_only_about_itself(shell: Shell, opened: Open) -> None:
    port = opened("sn1")
    refused = "refused: this address is not that of a node that is served here\n"
    assert port.say("127.7.9.9", "installstatus booted") == refused
    assert port.say("127.7.2.1", "installstatus booted") == refused  # two nodes have it
    assert port.say("127.7.1.2", "installstatus booted") == refused  # sn2's
    assert port.say("127.7.0.1", "installstatus booted n2").startswith("ready\nrefused: say")
    assert {status(shell, node) for node in ("n1", "n2", "m1", "twin1", "twin2")} == {""}
    assert opened("sn2").say("127.7.1.2", "installstatus booted") == "ready\ndone\n"
    assert opened().say("127.7.0.1", "installstatus alive") == "ready\ndone\n"
    assert [status(shell, node) for node in ("m1", "n1")] == ["booted", "alive"]


def test_a_new_node_is_known_soon(shell: Shell, opened: Open) -> None:
    port = opened()
    assert port.say("127.7.3.1", "installstatus booted").startswith("refused")
    shell.ok("mkdef -t node -o new groups=other ip=127.7.3.1")
    deadline = time.monotonic() + 20
    while port.say("127.7.3.1", "installstatus booted") != "ready\ndone\n":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status(shell, "new") == "booted"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("installstatus bogus", "'bogus' is no status; these are: alive "),
        ("GET / HTTP/1.0", "say "),
        ("x", "say "),
    ],
)
def test_what_means_nothing_is_refused_with_a_word(opened: Open, line: str, said: str) -> None:
    assert opened().say("127.7.0.1", line).startswith(f"ready\nrefused: {said}")


def test_nothing_is_written_when_the_site_says_so(shell: Shell, opened: Open) -> None:
    shell.ok("chdef -t site clustersite nodestatus=n")
    assert opened().say("127.7.0.1", "installstatus booted") == "ready\ndone\n"
    assert status(shell, "n1") == ""


def test_many_at_once_are_few_transactions(shell: Shell, opened: Open) -> None:
    port = opened(connections=500, each=500)
    shell.ok("mkdef -t node -o k[1-200] groups=many ip=|127.7.4.($1)|")
    talks = [port.connect(f"127.7.4.{number}") for number in range(1, 201)]
    for talk in talks:
        talk.sendall(b"installstatus netbooting\n")
    for talk in talks:
        with talk, talk.makefile("rb") as heard:
            assert [heard.readline(), heard.readline()] == [b"ready\n", b"done\n"]
    assert sum(port.batches) == 200
    assert len(port.batches) < 40
    assert shell.ok("nodels k[1-200] nodelist.status").count("netbooting") == 200


def test_who_is_slow_or_hostile_holds_up_nobody(shell: Shell, opened: Open) -> None:
    port = opened(connections=40, each=4, say_s=3.0)
    silent = [port.connect("127.7.0.1") for _ in range(4)]
    assert all(talk.recv(6) == b"ready\n" for talk in silent)
    assert port.say("127.7.0.1", "installstatus booted") == ""  # four of one address, no more
    flood = port.connect("127.7.0.2")
    flood.sendall(b"x" * 100_000)
    strangers = [port.connect("127.8.0.1") for _ in range(20)]
    assert port.say("127.7.0.3", "installstatus booted") == "ready\ndone\n"
    for talk in silent:
        assert talk.recv(6) == b""  # its time is over
    for talk in (*silent, *strangers, flood):
        talk.close()
    assert status(shell, "n3") == "booted"


def test_without_a_database_there_is_no_done(shell: Shell, opened: Open) -> None:
    port = opened()
    port.away = True
    assert port.say("127.7.0.1", "installstatus booted") == "ready\n"
    port.away = False
    assert port.say("127.7.0.1", "installstatus booted") == "ready\ndone\n"


def test_what_a_node_waits_for_no_longer_overwrites_nothing(shell: Shell, opened: Open) -> None:
    slow, other = opened(record_s=0.3), opened()
    slow.answers.clear()
    for address in ("127.7.0.2", "127.7.0.1"):
        assert slow.say(address, "installstatus booting") == "ready\n"
    assert other.say("127.7.0.1", "installstatus booted") == "ready\ndone\n"
    slow.answers.set()
    while slow.say("127.7.0.3", "installstatus alive") != "ready\ndone\n":
        time.sleep(0.1)
    assert [status(shell, node) for node in ("n1", "n3")] == ["booted", "alive"]


def test_next_is_done_when_the_node_was_moved_on(opened: Open) -> None:
    port = opened()
    assert port.say("127.7.0.1", "next") == "ready\ndone\n"
    assert port.say("127.7.0.9", "next") == "ready\n"
    assert port.moved == ["n1", "n9"]  # type: ignore[attr-defined]


def test_a_service_node_s_own_role_may_record_it(postgres_url: str, tmp_path: Path) -> None:
    shell = Shell({**os.environ, "SERVAL_HOME": str(tmp_path), "SERVAL_DATABASE": postgres_url}, tmp_path)
    shell.ok("mkdef -t node -o n1,n2 groups=all")
    with writing(open_engine(postgres_url)) as connection:
        role = grants.grant(connection, "sn1", "secret")
    url = make_url(postgres_url).set(username=role, password="secret")
    own = open_engine(url.render_as_string(hide_password=False))
    with writing(own) as connection:
        nodestatus.write(connection, {"n2": "booted", "n1": "booting", "gone": "booted"}, time.time())
    own.dispose()
    assert [status(shell, node) for node in ("n1", "n2")] == ["booting", "booted"]


def test_a_port_that_is_taken_is_tried_again_and_a_lost_process_started(
    home_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(home_env, tmp_path)
    shell.ok("mkdef -t node -o me groups=all ip=127.0.0.1")
    monkeypatch.setenv("SERVAL_DATABASE", home_env["SERVAL_DATABASE"])
    with socket.create_server(("", 0)) as taken:
        number = taken.getsockname()[1]
        process = StatusProcess(open_home({**home_env, "SERVAL_STATUS_PORT": str(number)}))
        process.look()
        assert process.port == 0
    monkeypatch.setattr(statuskeeper, "AGAIN_S", 0.0)
    try:
        for said in ("booting", "booted"):
            process.look()
            assert process.port == number
            done = report(
                tmp_path, "dash", "busybox", said, SERVAL_SERVERS=f"127.0.0.1:{number}", SERVAL_MINUTES="1"
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert status(shell, "me") == said
            process.end()
    finally:
        process.end()


@pytest.mark.parametrize("port", ["many", "-1", "70000"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(RequestError, match="status_port"):
        open_home({"SERVAL_HOME": str(tmp_path), "SERVAL_STATUS_PORT": port})


# -- the node's side -----------------------------------------------------------------------------------


def shells() -> list[tuple[str, str]]:
    """Each shell with each way to talk."""
    found = [(shell, tool) for shell in ("dash", "bash", "busybox") for tool in ("busybox", "bash")]
    return [(shell, tool) for shell, tool in found if shutil.which(shell) and shutil.which(tool)]


def report(folder: Path, shell: str, tool: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script where nothing but this tool can talk."""
    tools = folder / f"bin-{shell}-{tool}"
    tools.mkdir(exist_ok=True)
    for name in ("cat", "date", "sed", "sleep", "tr", tool):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name) or "")
    own = [shutil.which(shell) or "", *(["sh"] if shell == "busybox" else [])]
    return subprocess.run(
        [*own, str(SCRIPT), *words],
        env={"PATH": str(tools), "SERVAL_CMDLINE": str(folder / "cmdline"), **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("interpreter", "tool"), shells())
def test_the_script_reports_to_whom_it_booted_from(
    shell: Shell, opened: Open, tmp_path: Path, interpreter: str, tool: str
) -> None:
    shell.ok("mkdef -t node -o me groups=other ip=127.0.0.1")
    port = opened()
    (tmp_path / "cmdline").write_text(f"quiet NODE=me SERVAL=127.0.0.1:{port.number} imgurl=http://x/y\n")
    done = report(tmp_path, interpreter, tool, "booted")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert status(shell, "me") == "booted"


def test_the_script_finds_the_server_where_pxelinux_puts_it(
    shell: Shell, opened: Open, tmp_path: Path
) -> None:
    shell.ok("mkdef -t node -o me groups=other ip=127.0.0.1")
    addresses = "ip=127.0.0.9:127.0.0.1:127.0.0.2:255.0.0.0"
    (tmp_path / "cmdline").write_text(f"SERVAL={{server}}:{opened().number} {addresses} quiet\n")
    done = report(tmp_path, "dash", "busybox", "booted")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert status(shell, "me") == "booted"


def test_the_script_says_it_again_until_it_is_recorded(shell: Shell, opened: Open, tmp_path: Path) -> None:
    shell.ok("mkdef -t node -o me groups=other ip=127.0.0.1")
    port = opened()
    port.away = True
    threading.Timer(1.5, lambda: setattr(port, "away", False)).start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    servers = f"127.0.0.1:{nobody},127.0.0.1:{port.number}"
    done = report(tmp_path, "dash", "busybox", "postbooting", SERVAL_SERVERS=servers)
    assert (done.returncode, done.stderr) == (0, "")
    assert status(shell, "me") == "postbooting"


def test_the_script_gives_up_and_says_why(opened: Open, tmp_path: Path) -> None:
    port = opened()
    servers = f"127.0.0.1:{port.number}"
    done = report(tmp_path, "dash", "busybox", "booted", SERVAL_SERVERS=servers, SERVAL_MINUTES="0")
    assert (done.returncode, done.stderr.strip()) == (
        2, "serval-status: refused: this address is not that of a node that is served here"
    )  # fmt: skip
    port.close()
    done = report(tmp_path, "dash", "busybox", "booted", SERVAL_SERVERS=servers, SERVAL_MINUTES="0")
    assert done.returncode == 1
    assert "booted was not recorded by any of: 127.0.0.1:" in done.stderr
    assert report(tmp_path, "dash", "busybox", "booted").returncode == 2
    assert report(tmp_path, "dash", "busybox", "a;b", SERVAL_SERVERS=servers).returncode == 2
