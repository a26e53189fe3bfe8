"""The embedded Redis: a server of this instance alone, on a loopback port, behind a random password.

Port and password live in `redis.conf` in the given folder (mode 0600), so a restart finds both again and
every URL handed out stays true. The server is a session of its own and outlives whoever started it; no root
is needed. The directives are explained in the redis.conf that Redis ships.
"""

import fcntl
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UnavailableError
from drivers.freeport import free_port
from drivers.redisclient import ping as ping
from drivers.services.redisbinary import find_binary

START_S = 10.0
STOP_S = 10.0
#: Another process may take a free port between the look and the start.
PORT_TRIES = 5

CONFIG = """\
# Written by Serval at every start; port and password are read back from here.
bind 127.0.0.1
port {port}
requirepass {password}
protected-mode yes
daemonize no
dir {folder}
pidfile {pidfile}
logfile ""
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True)
class RunningRedis:
    """A Redis that answered."""

    pid: int
    port: int
    #: Holds the password.
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a Redis listens, and its password."""

    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL that clients use."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def start(folder: Path, log: Path, *, binary: Path | None = None) -> RunningRedis:
    """The running Redis of `folder`, started when it does not run yet; its output is appended to `log`.

    The first start chooses port and password, later ones find them in the folder, with the data. Raises
    UnavailableError when there is no usable redis-server, when the port is taken, and when it dies at once.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        kept = recall(folder)
        if kept and (found := running(folder, kept)):
            return found
        program = binary or find_binary()
        if kept:
            refuse_taken(kept.port, folder)
            return launch(program, folder, log, kept)
        return launch_anywhere(program, folder, log)


class PortTakenError(UnavailableError):
    """Another process was faster on the port."""


def stop(pid: int) -> None:
    """End the Redis with this process id and wait until it is gone; nothing happens when it is not running.

    It is asked first, so that it writes its data down, and killed after STOP_S seconds.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if gone(pid):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
        if wait_gone(pid, STOP_S):
            return
    raise UnavailableError(f"Redis (pid {pid}) does not end, even by SIGKILL")


def running(folder: Path, seat: Seat) -> RunningRedis | None:
    """The Redis that already runs in `folder`; None when there is none.

    Raises UnavailableError when it runs and does not answer.
    """
    pid = pid_in(folder)
    if pid is None:
        return None
    try:
        ping(seat.url)
    except UnavailableError as error:
        raise UnavailableError(f"{error.message} It is process {pid}; stop that first.") from error
    return RunningRedis(pid=pid, port=seat.port, url=seat.url)


def pid_in(folder: Path) -> int | None:
    """The process id of the Redis that runs in `folder`, answering or not; None when there is none."""
    try:
        pid = int((folder / "redis.pid").read_text(encoding="ascii"))
        # A number left behind by a crash may belong to another Redis by now; this one works in `folder`.
        ours = Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except (OSError, ValueError):
        return None
    return pid if ours and not gone(pid) else None


def launch_anywhere(binary: Path, folder: Path, log: Path) -> RunningRedis:
    """Start on a free port, with another one when somebody was faster."""
    for last in (*[False] * (PORT_TRIES - 1), True):
        try:
            return launch(binary, folder, log, Seat(free_port(), secrets.token_urlsafe(32)))
        except PortTakenError:
            if last:
                raise
    raise AssertionError("the last try returns or raises")


def launch(binary: Path, folder: Path, log: Path, seat: Seat) -> RunningRedis:
    """Write the configuration, start the server and wait for its first answer."""
    config = folder / "redis.conf"
    text = CONFIG.format(
        port=seat.port,
        password=seat.password,
        folder=quoted(folder.absolute()),
        pidfile=quoted(folder.absolute() / "redis.pid"),
    )
    write_private(config, text)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    begin = log.stat().st_size if log.exists() else 0
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            binary,
            [str(binary), str(config)],
            {"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, appending, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    except OSError as error:
        raise UnavailableError(f"{binary} cannot be started (log {log}): {error.strerror}") from error
    first_answer(pid, log, seat, begin)
    return RunningRedis(pid=pid, port=seat.port, url=seat.url)


def first_answer(pid: int, log: Path, seat: Seat, begin: int) -> None:
    """Wait until the new server answers; raise with the end of its log when it dies or stays silent."""
    deadline = time.monotonic() + START_S
    while not gone(pid):
        try:
            ping(seat.url, timeout=0.2)
        except UnavailableError:
            if time.monotonic() > deadline:
                stop(pid)
                said = tail(log, seat, begin)
                raise UnavailableError(f"Redis did not answer within {START_S:.0f} s. {said}") from None
            time.sleep(0.01)
            continue
        return
    said = tail(log, seat, begin)
    if "Address already in use" in said:
        raise PortTakenError(f"port {seat.port} was taken while Redis started. {said}")
    raise UnavailableError(f"Redis died at once. {said}")


def tail(log: Path, seat: Seat, begin: int, lines: int = 5) -> str:
    """The last lines that were logged after the byte `begin`, as a sentence without the password."""
    try:
        end = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return f"{log} cannot be read: {error.strerror}"
    return f"{log} ends with: " + " | ".join(end).replace(seat.password, "…")


def recall(folder: Path) -> Seat | None:
    """Port and password of the last start in this folder; None when there was none."""
    try:
        text = (folder / "redis.conf").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    port = re.search(r"^port (\d+)$", text, re.MULTILINE)
    password = re.search(r"^requirepass ([\w-]+)$", text, re.MULTILINE)
    return Seat(int(port[1]), password[1]) if port and password else None


def refuse_taken(port: int, folder: Path) -> None:
    """Raise UnavailableError when another process listens on the port that this Redis had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UnavailableError(
                f"port {port} of the embedded Redis is taken by another process ({error.strerror}). "
                f"Free it, or remove {folder / 'redis.conf'} to let Serval choose another port and password"
            ) from error


def gone(pid: int) -> bool:
    """Whether no redis-server runs under this process id; reaps it when it was our child."""
    with suppress(ChildProcessError):  # not our child: /proc tells
        os.waitpid(pid, os.WNOHANG)
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    name, _, rest = status.rpartition(")")
    return not name.endswith("(redis-server") or rest.split()[0] in "ZX"


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Wait for the end of a process; False when `timeout_s` ran out first."""
    deadline = time.monotonic() + timeout_s
    while not gone(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def quoted(path: Path) -> str:
    """A path as one argument of redis.conf, whatever characters it holds."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\r", "\\r") + '"'


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, replacing it as a whole."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(file)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one starter at a time into `folder`."""
    with (folder / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
