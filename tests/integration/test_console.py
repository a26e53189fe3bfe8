"""`serval console` on a BMC that is not ours: a serial-over-LAN session of OpenIPMI's ipmi_sim."""

import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from commands import Shell
from ipmi_sim_rig import IpmiSim, ipmi_sim

ROOT = Path(__file__).resolve().parents[2]
#: ipmitool asks for better cipher suites first, which ipmi_sim leaves unanswered.
PATIENCE_S = 60.0


class SerialPort:
    """The machine behind the BMC: greets, and answers each line."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._door.accept()
                with line, suppress(OSError):
                    while word := line.recv(100):
                        line.sendall(b"machine heard " + word.strip() + b"\r\n")

    def close(self) -> None:
        self._door.close()


class Terminal:
    """A command on a terminal."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.screen = ""
        self._hand, theirs = pty.openpty()
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._hand, text.encode())

    def reads(self, text: str) -> bool:
        """Whether this comes onto the screen in time."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen and time.monotonic() < deadline:
            if select.select([self._hand], [], [], 0.2)[0]:
                try:
                    self.screen += os.read(self._hand, 4096).decode("utf-8", "replace")
                except OSError:  # the command has ended
                    break
        return text in self.screen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._hand)


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[IpmiSim]:
    """A BMC with a serial port behind it."""
    with closing(SerialPort()) as serial, ipmi_sim(tmp_path, serial.port) as made:
        yield made


@pytest.fixture
def env(tmp_path: Path, bmc: IpmiSim) -> dict[str, str]:
    """An instance that knows the BMC as n1's."""
    home = {"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_NAME": "mn1"}
    shell = Shell(home, tmp_path)
    shell.ok(
        f"mkdef -t node -o n1 groups=all mgt=ipmi bmc=127.0.0.1:{bmc.port} "
        "bmcusername=admin bmcpassword=secret cons=ipmi"
    )
    return {**os.environ, **home, "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def test_a_console_is_read_and_typed_into(env: dict[str, str]) -> None:
    with closing(Terminal([sys.executable, "-m", "cli.main", "serval", "console", "n1"], env)) as terminal:
        assert terminal.reads("SOL Session operational"), terminal.screen
        words = Path(f"/proc/{terminal.process.pid}/cmdline").read_bytes()
        assert b"ipmitool" in words
        assert b"secret" not in words
        terminal.type("who are you\r")
        assert terminal.reads("machine heard who are you"), terminal.screen
        terminal.type("\r~.")
        assert terminal.reads("terminated ipmitool"), terminal.screen
        assert terminal.process.wait(PATIENCE_S) == 0
