"""Keeping daemons running: by systemd where it is the host's init, else as processes of our own.

Both know one another's words: `running`, `start`, `tell`, `stop`, `revive`. A daemon without a record was
never started by Serval and is never touched. systemd's side is systemd.service(5) and systemctl(1).
"""

import os
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from core.errors import UnavailableError
from drivers.services.records import Record, Records, boot_id

STOP_S = 10.0
#: Python and Celery ignore some of them, and who is ignored stays so in a child.
USUAL = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1)
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Runner(Protocol):
    """What keeps daemons running on this host."""

    @property
    def records(self) -> Records:
        """What was started."""

    def log(self, name: str) -> Path:
        """Where a daemon's output goes."""

    def running(self, name: str) -> int:
        """The process id of a daemon that Serval started and that lives; 0 when there is none."""

    def start(self, name: str, command: Sequence[str], digest: str) -> int:
        """Start it, or start it again with another command; its process id. Raises UnavailableError."""

    def tell(self, name: str, digest: str = "") -> None:
        """Send SIGHUP to a daemon that runs; with `digest` its configuration has changed to that."""

    def stop(self, name: str) -> None:
        """End it and forget it; nothing happens when Serval did not start it. Raises UnavailableError."""

    def revive(self) -> list[str]:
        """Start again what died; their names."""


def program(name: str, package: str) -> str:
    """The path of a program. Raises UnavailableError, naming the Debian package that brings it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), SEARCH)))
    if found is None:
        raise UnavailableError(f"{name} is not installed; as root: apt-get install {package}")
    return found


@dataclass(frozen=True, slots=True)
class Supervised:
    """Processes of our own: each a session, known by pid and start time; they outlive who started them."""

    records: Records
    logs: Path

    def log(self, name: str) -> Path:
        """Where a daemon's output goes."""
        return self.logs / f"{name}.log"

    def running(self, name: str) -> int:
        """The process id of a daemon that Serval started and that lives; 0 when there is none."""
        record = self.records.read(name)
        return record.pid if record and alive(record) else 0

    def start(self, name: str, command: Sequence[str], digest: str) -> int:
        """Start it, or start it again with another command; its process id. Raises UnavailableError."""
        record = self.records.read(name)
        if record:
            end(record)
        pid = spawn(command, self.log(name))
        self.records.write(name, Record(tuple(command), digest, pid, start_time(pid), boot_id()))
        return pid

    def tell(self, name: str, digest: str = "") -> None:
        """Send SIGHUP to a daemon that runs; with `digest` its configuration has changed to that."""
        record = self.records.read(name)
        if record and alive(record):
            os.kill(record.pid, signal.SIGHUP)
            if digest:
                self.records.write(name, replace(record, digest=digest))

    def stop(self, name: str) -> None:
        """End it and forget it; nothing happens when Serval did not start it. Raises UnavailableError."""
        record = self.records.read(name)
        if record:
            end(record)
            self.records.forget(name)

    def revive(self) -> list[str]:
        """Start again what died; their names. Raises UnavailableError."""
        dead = []
        for name in self.records.names():
            record = self.records.read(name)
            if record and not alive(record):
                self.start(name, record.command, record.digest)
                dead.append(name)
        return dead


def spawn(command: Sequence[str], log: Path) -> int:
    """Start a process in a session of its own, its output appended to `log`. Raises UnavailableError."""
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.posix_spawn(
            command[0],
            list(command),
            {"PATH": SEARCH, "LC_ALL": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=USUAL,
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be started (log {log}): {error.strerror}") from error


def end(record: Record) -> None:
    """End the process and all of its session: asked first, killed after STOP_S; nothing when they are gone.

    Raises UnavailableError when they do not end.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_S
        for pid in [record.pid] if alive(record) and number == signal.SIGTERM else session(record):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while session(record) and time.monotonic() < deadline:
            time.sleep(0.01)
    if session(record):
        raise UnavailableError(f"{record.command[0]} (process {record.pid}) does not end, even by SIGKILL")


def alive(record: Record) -> bool:
    """Whether the very process of a record lives."""
    if not record.pid or record.boot != boot_id():
        return False
    with suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)  # if it is a child of ours, it must not stay as a zombie
    return start_time(record.pid) == record.started


def session(record: Record) -> list[int]:
    """The living processes of the session that a record's process leads, or led before it died.

    The kernel gives a process id to nobody while a session goes by it. So when somebody else has it now, the
    session is gone.
    """
    if not record.pid or record.boot != boot_id():
        return []
    if not alive(record) and start_time(record.pid):
        return []
    pids = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return [pid for pid in pids if (words := _stat(pid)) and int(words[3]) == record.pid]


def start_time(pid: int) -> int:
    """When a process started, in ticks since the host did; 0 when it is gone."""
    words = _stat(pid)
    return int(words[19]) if words else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (proc(5)); none when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    words = text.rpartition(")")[2].split()
    return [] if words[0] in "ZX" else words
