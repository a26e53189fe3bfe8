"""A command server as a process of its own, and commands as a shell starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cli.spare import SPARE

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fails when it does not come to hold."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def argv(line: str) -> list[str]:
    """A command of this checkout, through the client."""
    return [sys.executable, "-m", "cli.main", *line.split()]


def children(pid: int) -> list[int]:
    """The child processes of a process, without the spare of a command server."""
    found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if not is_spare(child)]


def is_spare(pid: int) -> bool:
    """Whether a process waits for a command to do."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == SPARE
    except (FileNotFoundError, ProcessLookupError):
        return False


def files(pid: int) -> list[str]:
    """What a process has open."""
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            names.append(str(link.readlink()))
    return names


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@dataclass(slots=True)
class Served:
    """A home, and (after `start`) its command server."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """What its commands see."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SERVAL_")}
        path = f"{ROOT}{os.pathsep}{own.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        return own | {"SERVAL_HOME": str(self.home), "PYTHONPATH": path} | dict(self.settings)

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.home / "run" / "command.sock"

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self.home / "server.log"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self.process is not None
        return self.process.pid

    def start(self, command: list[str] | None = None) -> None:
        """Start the server and wait until it is warm."""
        self.home.mkdir(exist_ok=True, mode=0o700)
        with self.log.open("ab") as log:
            started = log.tell()
            self.process = subprocess.Popen(
                command or argv("serval server"), env=self.env, cwd=ROOT, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        until(lambda: b"listens" in self.log.read_bytes()[started:], "the server did not start")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the server, and nobody else."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=PATIENCE_S)
            self.process = None

    def run(self, line: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        shared: dict[str, object] = {"env": self.env, "cwd": ROOT, "stdin": subprocess.DEVNULL}
        return subprocess.run(
            argv(line), capture_output=True, text=True, timeout=PATIENCE_S, check=False, **(shared | options)
        )  # type: ignore[call-overload,no-any-return]

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash in which $S is what starts a command."""
        env = self.env | {"S": f"{sys.executable} -m cli.main"}
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=env, cwd=ROOT, timeout=60, check=False
        )

    def begin(self, line: str) -> subprocess.Popen[str]:
        """Start a command and go on; in a process group of its own, or Ctrl-Z could not stop it."""
        return subprocess.Popen(
            argv(line), env=self.env, cwd=ROOT, text=True, process_group=0,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def served(self) -> str:
        """The server's log so far."""
        return self.log.read_text()
