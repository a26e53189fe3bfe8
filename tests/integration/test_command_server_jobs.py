"""Jobs through the command server: streaming, signals, and one job whatever is lost on the way."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from served import ROOT, Served, alive, argv, children, until

from db import jobs
from db.engine import one_writer, open_engine, reading, writing
from db.jobs import JobInfo
from drivers.services import redis as embedded
from lab.box import Box

BMCS = 12
FIRST, SLOW = "n01", "n02"
SLOW_BMC = "127.1.0.2"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Twelve BMCs and one service node; a silent BMC is waited for half a minute."""
    made = Box(tmp_path_factory.mktemp("box"), BMCS, sns=("sn1",))
    try:
        made.start()
        made.must("chdef", "-t", "site", "clustersite", "ipmitimeout=10", "ipmiretries=3", "dhcpsetup=n")
        made.must("mkdef", "-t", "network", "prov", "net=10.0.0.0", "mask=255.255.0.0")
        made.must("chdef", FIRST, "arch=x86_64", "mac=52:54:00:00:00:01", "ip=10.0.0.1", "netboot=xnba")
        yield made
    finally:
        made.stop()


@pytest.fixture
def served(box: Box) -> Iterator[Served]:
    """The box with a command server of this test's own, BMCs that are well and off, and no job left."""
    pid = int((box.home / "run" / "server.pid").read_text())
    if alive(pid):
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the server of the box does not stop")
    box.control.heal()
    box.control.power("all", False)
    box.control.reset_counters()
    made = Served(box.home)
    made.start()
    yield made
    box.control.heal()
    for info in active(box):
        made.run(f"serval cancel {info.id}")
    until(lambda: not active(box), "jobs are left")
    if made.process is not None:
        made.stop()


def active(box: Box) -> list[JobInfo]:
    """The jobs that go on."""
    with reading(open_engine(f"sqlite:///{box.home}/serval.db")) as connection:
        return jobs.recent(connection, 100, active=True)


def newest(box: Box) -> int:
    """The number of the newest job, 0 when there is none."""
    with reading(open_engine(f"sqlite:///{box.home}/serval.db")) as connection:
        return max((info.id for info in jobs.recent(connection, 1)), default=0)


def begin(box: Box, served: Served, line: str) -> subprocess.Popen[str]:
    """Start a command that asks for a job, and wait until the job is there."""
    before = newest(box)
    process = served.begin(line)
    until(lambda: newest(box) > before or process.poll() is not None, "no job was asked")
    assert process.poll() is None, process.communicate()
    return process


def test_power_is_the_same_with_and_without_a_server(box: Box, served: Served) -> None:
    lines = ["rpower n[01-12] on", "rpower compute stat", f"rpower {FIRST} stat --json", "rsetboot n03 net"]
    with_server = [served.run(line) for line in lines]
    assert served.served().count("status 0") == len(lines)
    served.stop()
    for line, done in zip(lines, with_server, strict=True):
        again = served.run(line)
        assert (done.returncode, done.stderr) == (again.returncode, again.stderr) == (0, "")
        if "--json" not in line:
            assert sorted(done.stdout.splitlines()) == sorted(again.stdout.splitlines())


def test_the_first_line_comes_before_the_last(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    process = begin(box, served, f"rpower {FIRST},{SLOW} stat")
    assert process.stdout is not None
    assert process.stdout.readline() == f"{FIRST}: off\n"
    assert process.poll() is None
    box.control.heal()
    assert process.communicate(timeout=60) == (f"{SLOW}: off\n", "")
    assert process.returncode == 0


def test_a_failed_node_gives_status_1(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, wrong_password=True)
    done = served.run(f"rpower {FIRST},{SLOW} stat")
    assert done.returncode == 1
    assert f"{SLOW}: [sn1]: Error:" in done.stderr
    assert "rpower n01,n02 stat: status 1" in served.served()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, served: Served, words: list[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, served.env | {"S": f"{sys.executable} -m cli.main"})
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self.fd, 4096):
                self.text += data.decode()

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.fd, keys)

    def status(self) -> int:
        """Wait for the end."""
        _, raw = os.waitpid(self.pid, 0)
        self._reader.join(timeout=5)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(raw)


def waiting(box: Box, served: Served, words: list[str]) -> Terminal:
    """A command on a terminal that waits for a silent BMC."""
    box.control.faults(SLOW_BMC, silent=True)
    before = newest(box)
    terminal = Terminal(served, words)
    until(lambda: newest(box) > before, "no job was asked")
    until(lambda: bool(children(served.pid)), "the server does not do it")
    time.sleep(0.3)  # so that it follows the job; before that Ctrl-C has other consequences
    return terminal


def test_control_c_leaves_the_job_and_a_second_one_cancels_it(box: Box, served: Served) -> None:
    once = waiting(box, served, argv(f"rpower {SLOW} on"))
    once.type(b"\x03")
    assert once.status() == 130
    assert "goes on" in once.text
    assert len(active(box)) == 1
    served.run(f"serval cancel {newest(box)}")
    until(lambda: not active(box), "the job was not cancelled")
    twice = waiting(box, served, argv(f"rpower {SLOW} on"))
    twice.type(b"\x03")
    until(lambda: "goes on" in twice.text, "Ctrl-C did not arrive")
    twice.type(b"\x03")
    assert twice.status() == 130
    assert "1 nodes cancelled" in twice.text
    until(lambda: not active(box), "the job was not cancelled")


def test_control_z_stops_and_fg_goes_on(box: Box, served: Served) -> None:
    script = f"set -m; $S rpower {SLOW} on; echo stopped; read; fg; echo ended $?"
    terminal = waiting(box, served, ["bash", "-c", script])
    terminal.type(b"\x1a")
    until(lambda: "stopped" in terminal.text, "the command was not stopped")
    box.control.heal()
    until(lambda: not active(box), "the job does not end")
    assert f"{SLOW}: on" not in terminal.text
    terminal.type(b"\n")
    assert terminal.status() == 0
    assert f"{SLOW}: on" in terminal.text
    assert "ended 0" in terminal.text


def test_a_killed_client_leaves_the_job_and_no_process(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    process = begin(box, served, f"rpower {SLOW} on")
    assert len(children(served.pid)) == 1
    process.kill()
    process.communicate()
    until(lambda: not children(served.pid), "the command is left behind")
    assert len(active(box)) == 1


def test_a_terminated_client_ends_by_the_signal(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    process = begin(box, served, f"rpower {SLOW} on")
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    until(lambda: not children(served.pid), "the command is left behind")


def test_a_crash_of_one_command_is_nobody_elses(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    first = begin(box, served, f"rpower {SLOW} stat")
    victim = children(served.pid)
    second = begin(box, served, f"rpower {SLOW} stat")
    os.kill(victim[0], signal.SIGSEGV)
    _, err = first.communicate(timeout=30)
    assert first.returncode == 128 + signal.SIGSEGV
    assert "ended by signal 11" in err
    assert second.poll() is None
    box.control.heal()
    assert second.communicate(timeout=60) == (f"{SLOW}: off\n", "")


def kill_all(served: Served) -> None:
    """Kill the server and what it does, as a machine's out-of-memory killer or systemd would."""
    begun = children(served.pid)
    served.stop(signal.SIGKILL)
    for pid in begun:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_lost_server_makes_no_second_job(box: Box, served: Served, comes_back: bool) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    process = begin(box, served, f"rpower {FIRST},{SLOW} reset")
    assert process.stdout is not None
    job = newest(box)
    first = process.stdout.readline()
    time.sleep(0.2)  # until the client has been told what it saw
    kill_all(served)
    if comes_back:
        served.start()
    box.control.heal()
    out, _ = process.communicate(timeout=60)
    assert newest(box) == job
    assert [line.partition(":")[0] for line in [first, *out.splitlines()]] == [FIRST, SLOW]
    assert set(box.control.executed("reset").values()) <= {0, 1}


def test_a_command_outlives_its_server(box: Box, served: Served) -> None:
    box.control.faults(SLOW_BMC, silent=True)
    process = begin(box, served, f"rpower {SLOW} stat")
    served.stop(signal.SIGKILL)
    box.control.heal()
    assert process.communicate(timeout=60) == (f"{SLOW}: off\n", "")
    assert process.returncode == 0


def test_what_is_no_job_is_not_repeated(box: Box, served: Served, tmp_path: Path) -> None:
    fifo = tmp_path / "stanza"
    os.mkfifo(fifo)
    with os.fdopen(os.open(fifo, os.O_RDWR), "rb") as keeps_it_open:
        process = subprocess.Popen(
            argv("chdef -z"), env=served.env, cwd=ROOT, text=True,
            stdin=keeps_it_open, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: bool(children(served.pid)), "the server does not do it")
        time.sleep(0.3)
        kill_all(served)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "nobody knows" in err


def test_a_step_of_a_chain_is_not_taken_twice(box: Box, served: Served) -> None:
    box.must("chtab", f"node={FIRST}", "chain.currchain=boot,shell", "chain.chain=boot,shell")
    engine = open_engine(f"sqlite:///{box.home}/serval.db")
    with writing(engine) as connection:
        one_writer(connection)
        process = served.begin(f"nodeset {FIRST} next")
        until(lambda: bool(children(served.pid)), "the server does not do it")
        time.sleep(0.5)  # until it waits for the database
        kill_all(served)
    served.start()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "lost in the middle of 'nodeset next', so nobody knows" in err
    assert "boot,shell" in served.run("gettab node=n01 chain.currchain").stdout


NO_DNS = "its row of the servicenode table asks for no dhcpserver or nameserver or proxydhcp"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"nodeset {FIRST} boot", f"{FIRST}: boot\n"),
        (f"makedhcp {FIRST}", f"{FIRST}: ip-address = 10.0.0.1, hardware-address = 02:00:00:00:00:01\n"),
        (f"makedns {FIRST}", f"Handling {FIRST}.\nmn1: {NO_DNS}\n"),
    ],
)
def test_what_service_nodes_do_goes_on_as_the_same_job(
    box: Box, served: Served, command: str, said: str
) -> None:
    """The management node's worker stands still, so nothing is done before the server is lost."""
    box.must("chdef", FIRST, "mac=02:00:00:00:00:01", "ip=10.0.0.1")
    box.must("chtab", "net=10.0.0.0", "networks.mask=255.0.0.0", "networks.netname=provision")
    box.must("chdef", "-t", "group", "-o", "service", "setupdhcp=1")
    box.signal("mn1", signal.SIGSTOP)
    try:
        process = begin(box, served, command)
        job = newest(box)
        kill_all(served)
    finally:
        box.signal("mn1", signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    warned = "no host has setupnameserver" if command.startswith("makedns") else ""
    assert (out, warned in err, err.count("\n")) == (said, True, len(warned) > 0)
    assert (process.returncode, newest(box)) == (0, job)


def test_redis_may_be_restarted_under_the_server(box: Box, served: Served) -> None:
    assert served.run(f"rpower {FIRST} stat").returncode == 0
    embedded.stop(box.redis_pid())
    away = served.run(f"rpower {FIRST} stat")
    assert away.returncode == 1
    assert "Redis" in away.stderr
    box.must("serval", "up", "--sn", "sn1")
    assert served.run(f"rpower {FIRST} stat").stdout == f"{FIRST}: off\n"
