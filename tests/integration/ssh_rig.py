"""An sshd of Debian on a loopback port: own host key, own authorized key, own temporary folder."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.freeport import free_port
from drivers.images.sshname import Login
from drivers.services.runner import SEARCH

SSHD = "/usr/sbin/sshd"
HERE = "127.0.0.1"
CONFIG = """\
ListenAddress {here}:{port}
HostKey {top}/host
AuthorizedKeysFile {top}/authorized
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
SetEnv TMPDIR={top}/far PATH={path}
"""


@dataclass(frozen=True)
class Sshd:
    """The server, and a folder like ~/.ssh that may log in to it."""

    top: Path
    port: int
    pid: int

    @property
    def login(self) -> Login:
        """How it is entered."""
        return Login(HERE, self.port, self.top / "ssh")

    @property
    def far(self) -> Path:
        """Where the other side keeps what is temporary."""
        return self.top / "far"

    def sessions(self) -> list[int]:
        """The processes that hold open connections."""
        return [pid for pid in children(self.pid) if b"sshd" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def cut(self) -> None:
        """End all connections at once, without a word."""
        for pid in self.sessions():
            for one in (*descendants(pid, b"sshd"), pid):
                os.kill(one, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int, word: bytes) -> list[int]:
    """Those below a process whose command has this word."""
    found = []
    for child in children(pid):
        if word in Path(f"/proc/{child}/cmdline").read_bytes():
            found += [child, *descendants(child, word)]
    return found


@contextmanager
def sshd(top: Path, around: Sequence[str] = (), path: str = SEARCH) -> Iterator[Sshd]:
    """Run it; `around` are words before its command, `path` is where its shells look for programs."""
    (top / "ssh").mkdir(parents=True)
    (top / "far").mkdir()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for key in ("host", "ssh/id_ed25519", "other"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(top / key)]
        subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    (top / "authorized").write_text((top / "ssh/id_ed25519.pub").read_text())
    port = free_port()
    kind, key, *_ = (top / "host.pub").read_text().split()
    (top / "ssh/known_hosts").write_text(f"[{HERE}]:{port} {kind} {key}\n")
    (top / "config").write_text(CONFIG.format(here=HERE, port=port, top=top, path=path))
    command = [*around, SSHD, "-D", "-e", "-f", str(top / "config")]
    with (top / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        await_port(port, process)
        yield Sshd(top, port, process.pid)
    finally:
        process.terminate()
        process.wait()


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens there."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((HERE, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("sshd does not listen")
