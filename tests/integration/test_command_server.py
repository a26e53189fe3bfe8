"""The command server: the same as without it, and everything that may go wrong between client and server."""

import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from served import ROOT, Served, argv, children, files, until

from cli.server import MOST_COMMANDS

NOBODY = 65534
DEFINE = (
    "mkdef -t node -o n[1-30] groups=compute,all mgt=ipmi bmcpassword=hunter2",
    "chdef -t group -o compute mgt=ipmi bmc=|n(\\d+)|10.0.0.($1)|",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A home with thirty nodes and its server."""
    made = Served(tmp_path_factory.mktemp("served") / "home")
    made.start()
    try:
        for line in DEFINE:
            done = made.run(line)
            assert done.returncode == 0, done
        yield made
    finally:
        made.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A home whose server a test may kill; not started."""
    made = Served(tmp_path / "home")
    yield made
    if made.process is not None:
        made.stop(signal.SIGKILL)


@pytest.fixture
def alone(served: Served) -> Iterator[Served]:
    """The same home as nobody serves it."""
    hidden = served.socket.with_suffix(".away")
    served.socket.rename(hidden)
    yield Served(served.home)
    hidden.rename(served.socket)


LINES = (
    "lsdef n1",
    "lsdef -t node",
    "lsdef -t node -o n[1-3] -i bmc,groups",
    "lsdef n99",
    "lsdef --nonsense",
    "nodels compute",
    "nodels ^missing-file",
    "tabdump nodelist",
    "tabdump -d",
    "serval jobs --json",
    "serval nonsense",
    "rpower n1",
    "rpower n1 dance",
    "rpower --help",
    "mkdef n1 groups=all",
)


def test_with_and_without_a_server_it_is_the_same(served: Served) -> None:
    before = served.served().count("status")
    with_server = [served.run(line) for line in LINES]
    assert served.served().count("status") - before == len(LINES)
    hidden = served.socket.with_suffix(".away")
    served.socket.rename(hidden)
    try:
        without = [served.run(line) for line in LINES]
    finally:
        hidden.rename(served.socket)
    for line, one, other in zip(LINES, with_server, without, strict=True):
        assert (line, one.returncode, one.stdout, one.stderr) == (
            line, other.returncode, other.stdout, other.stderr,
        )  # fmt: skip
    assert {done.returncode for done in with_server} == {0, 1}


def test_the_log_tells_who_and_what_but_no_password(served: Served) -> None:
    served.run("chdef n2 bmcpassword=correct-horse")
    assert "chdef n2 bmcpassword=********: status 0" in served.served()
    assert "correct-horse" not in served.served()
    assert "hunter2" not in served.served()


def test_the_server_holds_no_connection(served: Served) -> None:
    """So it cannot notice that the database or Redis are restarted: a listener, a pair, the spare's."""
    served.run("nodels")
    until(lambda: not children(served.pid), "the command did not end")
    until(
        lambda: len([name for name in files(served.pid) if name.startswith("socket:")]) == 4, "more sockets"
    )
    assert not [name for name in files(served.pid) if "serval.db" in name]
    assert len(list(Path(f"/proc/{served.pid}/task").iterdir())) == 1


def test_a_file_is_read_by_the_client(served: Served) -> None:
    """Only the client has /dev/fd/63, and only it knows what `list` is relative to."""
    done = served.shell(
        "$S nodels ^<(printf 'n3\\nn4\\n'); cd $SERVAL_HOME && echo n5 >list && $S nodels ^list"
    )
    assert done.stdout.split() == ["n3", "n4", "n5"], done


def test_standard_input_is_the_clients(served: Served) -> None:
    done = served.shell(
        "printf 'n7:\\n objtype=node\\n groups=all,seven\\n' | $S chdef -z && $S nodels seven"
    )
    assert done.stdout.splitlines()[-1] == "n7", done


def test_closed_streams_are_no_trouble(served: Served) -> None:
    done = served.shell("$S nodels n1 <&- && $S nodels n1 >&- ; $S lsdef n99 2>&-; echo $?")
    assert done.stdout.splitlines() == ["n1", "No object definitions have been found", "1"]
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_the_command_quietly(served: Served, tmp_path: Path) -> None:
    done = served.shell(
        "unset PYTHONUNBUFFERED; $S mkdef -t node -o big[00001-20000] groups=big >/dev/null;"
        "$S lsdef big | head -1; echo ${PIPESTATUS[0]}; $S rmdef -t node -o big >/dev/null"
    )
    assert done.stdout.splitlines() == ["Object name: big00001", "141"]
    assert done.stderr == ""


@pytest.mark.parametrize("away", ["", "mv $HERE $HERE.away; trap 'mv $HERE.away $HERE' EXIT; "])
def test_output_that_cannot_be_written_is_one_sentence(served: Served, away: str) -> None:
    """With a server and without."""
    done = served.shell(f"HERE={served.socket}; {away}$S nodels n1 > /dev/full; echo $?")
    assert (done.stdout, done.stderr) == (
        "1\n",
        "Error: the output cannot be written: No space left on device. "
        "A job that has begun goes on: serval jobs\n",
    )


def test_huge_output_arrives_whole(served: Served) -> None:
    served.run("mkdef -t node -o huge[00001-20000] groups=huge")
    with_server = served.run("nodels huge").stdout
    assert with_server.splitlines() == [f"huge{number:05}" for number in range(1, 20001)]
    served.run("rmdef -t node -o huge")


def test_twenty_clients_at_once(served: Served) -> None:
    begun = [served.begin(f"nodels n{number}") for number in range(1, 21)]
    for number, process in enumerate(begun, 1):
        assert process.communicate(timeout=60) == (f"n{number}\n", "")
        assert process.returncode == 0
    until(lambda: not children(served.pid), "children are left")


def test_one_too_many_is_told_so(own: Served) -> None:
    own.start()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(MOST_COMMANDS)]
    for one in silent:
        one.connect(str(own.socket))
    until(lambda: len(children(own.pid)) == MOST_COMMANDS, "they are not served")
    done = own.run("nodels")
    assert (done.returncode, done.stdout) == (1, "")
    assert "64 commands already" in done.stderr
    for one in silent:
        one.close()
    until(lambda: not children(own.pid), "those who say nothing are served for ever")
    assert own.run("nodels").returncode == 0


def test_nonsense_harms_nobody(own: Served) -> None:
    own.start()
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\3run", b"\0\0\0\7run\0a\0b", b"\xff" * 5000):
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(own.socket))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            client.recv(1000)
    until(lambda: not children(own.pid), "they are served for ever")
    assert own.run("nodels").returncode == 0
    assert "Traceback" not in own.served()


def test_another_database_is_not_this_servers(served: Served, tmp_path: Path) -> None:
    other = Served(served.home, {"SERVAL_DATABASE": f"sqlite:///{tmp_path}/other.db"})
    done = other.run("lsdef")
    assert done.stdout == "No object definitions have been found\n"
    assert done.stderr.count("another database") == 1
    assert "own process" in done.stderr


def test_a_stale_socket_is_no_server(own: Served) -> None:
    own.start()
    own.stop(signal.SIGKILL)
    assert own.socket.exists()
    done = own.run("nodels")
    assert (done.returncode, done.stderr) == (0, "")
    own.start()
    assert own.run("nodels").returncode == 0
    assert "nodels: status 0" in own.served()


def test_there_is_one_server_and_it_leaves_no_socket(own: Served) -> None:
    own.start()
    second = own.run("serval server")
    assert second.returncode == 1
    assert "runs for" in second.stderr
    assert own.run("nodels").returncode == 0
    own.stop()
    assert not own.socket.exists()


def test_a_server_of_another_release_is_named_once(own: Served) -> None:
    older = "import sys, core.release; core.release.RELEASE = '0.0.9'; sys.argv = ['serval', 'server']"
    own.start([sys.executable, "-c", f"{older}; from cli.client import main; main('serval')"])
    done = own.run("nodels")
    assert done.returncode == 0
    assert done.stderr.count("release 0.0.9") == 1
    assert done.stderr.count("\n") == 1


def test_a_prompt_is_answered_on_the_clients_terminal(served: Served) -> None:
    served.run("chdef -t site clustersite confirmnodes=1")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, argv("rpower n[1-3] off"), served.env | {"PYTHONPATH": str(ROOT)})
    text = b""
    while b"[y/N]" not in text:
        text += os.read(terminal, 4096)
    os.write(terminal, b"n\n")
    while b"nothing was sent" not in text:
        text += os.read(terminal, 4096)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1
    assert "rpower n[1-3] off: status 1" in served.served()


@pytest.fixture
def foreign() -> Iterator[Served]:
    """A home that another user can look into."""
    with tempfile.TemporaryDirectory(prefix="served-") as folder:
        Path(folder).chmod(0o755)
        made = Served(Path(folder) / "home")
        made.start()
        yield made
        made.stop()


def as_nobody(served: Served, line: str) -> subprocess.CompletedProcess[str]:
    """A command of a user who is neither root nor the owner, whom this Python itself may be closed to."""
    name, *words = line.split()
    become = f"import os, sys, cli.client as c; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    code = f"{become}; sys.argv = {[name, *words]!r}; c.main({name!r})"
    return subprocess.run(
        [sys.executable, "-c", code], env=served.env, capture_output=True, text=True, timeout=60, check=False
    )


def test_another_user_is_told_why_not(foreign: Served) -> None:
    closed = as_nobody(foreign, "nodels")
    for folder in (foreign.home, foreign.home / "run"):
        folder.chmod(0o755)
    foreign.socket.chmod(0o666)
    refused = as_nobody(foreign, "nodels")
    foreign.stop()
    unserved = as_nobody(foreign, "nodels")
    for done, reason in ((closed, "another user"), (refused, "only root"), (unserved, "another user")):
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert reason in done.stderr
        assert "policy" in done.stderr
        assert done.stderr.count("\n") == 1
