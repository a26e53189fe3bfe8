"""Making one daemon what it should be: files only when they differ, a process touched only when needed.

The order is: is the program there, does a stranger hold a port, write what differs, let the program read it
(the old files come back when it refuses), start, tell or restart, and use it.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import RequestError, ServalError, UnavailableError
from drivers.files import write_whole
from drivers.services.daemon import Check, Daemon, Folder, Reload
from drivers.services.ports import strangers
from drivers.services.runner import Runner, program

#: A daemon answers within so many seconds after its start.
READY_S = 5.0
LOOK_S = 0.05
TEST_S = 20.0
LOG_LINES = 3
#: The first port that everybody may have (ip-sysctl).
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@dataclass(frozen=True, slots=True)
class Kept:
    """A daemon after `keep_up`: what was done in a word or two, and what its services do not do."""

    done: str
    #: Service → sentence; empty when it works.
    complaints: Mapping[str, str]


def keep_up(daemon: Daemon, runner: Runner, *, only_check: bool = False) -> Kept:
    """Let a daemon run as it should, or with `only_check` look whether it does.

    Raises UnavailableError or RequestError when it cannot run at all.
    """
    path = program(daemon.command[0], daemon.package)
    command = (path, *daemon.command[1:])
    digest = _digest(command, daemon.files)
    pid = runner.running(daemon.name)
    if not pid and not only_check:
        runner.stop(daemon.name)  # whatever a daemon that died has left behind
    if not pid:
        found = strangers(daemon.ports)
        if found:
            raise UnavailableError(f"{found[0]}, which Serval did not start; end it, or turn the service off")
    if only_check:
        return _look(daemon, runner, pid, digest)
    refuse_without_root(daemon)
    for folder in daemon.folders:
        make(folder)
    daemon.prepare()
    write(daemon)
    record = runner.records.read(daemon.name)
    if pid and record and record.digest == digest:
        return Kept("unchanged", used(daemon.checks))
    if pid and record and record.command == command and daemon.reload is Reload.SIGNAL:
        runner.tell(daemon.name, digest)
        return _ready(daemon, runner, "told")
    runner.start(daemon.name, command, digest)
    return _ready(daemon, runner, "restarted" if pid else "started")


def refuse_without_root(daemon: Daemon) -> None:
    """Raise UnavailableError when a daemon needs a port that only root may have, and this is not root."""
    first_free = int(UNPRIVILEGED.read_text(encoding="ascii"))
    low = [port for port in daemon.ports if port.number < first_free]
    if low and os.geteuid() != 0:
        raise UnavailableError(
            f"{daemon.name} needs port {low[0].number}/{low[0].transport}, which only root may have; "
            "run the worker of this host as root"
        )


def put_down(name: str, runner: Runner, *, only_check: bool = False) -> str:
    """End a daemon that Serval started; what was done. Raises UnavailableError when it does not end."""
    if runner.records.read(name) is None:
        return ""
    if only_check:
        raise RequestError(f"{name} still runs (process {runner.running(name)}); mend: serval services")
    runner.stop(name)
    return f"{name} stopped"


def _look(daemon: Daemon, runner: Runner, pid: int, digest: str) -> Kept:
    if not pid:
        raise UnavailableError(f"{daemon.name} does not run; mend: serval services")
    differing = [str(file) for file, text in daemon.files.items() if read(file) != text]
    record = runner.records.read(daemon.name)
    if differing or record is None or record.digest != digest:
        what = ", ".join(differing) or daemon.name
        raise RequestError(f"{what} is not what the tables say; mend: serval services")
    return Kept("unchanged", used(daemon.checks))


def _ready(daemon: Daemon, runner: Runner, done: str) -> Kept:
    """Use the daemon until it does all it should, dies, or has had its time."""
    deadline = time.monotonic() + READY_S
    while True:
        if not runner.running(daemon.name):
            raise UnavailableError(f"{daemon.name} died at once. {last_words(runner.log(daemon.name))}")
        complaints = used(daemon.checks)
        if not any(complaints.values()) or time.monotonic() > deadline:
            return Kept(done, complaints)
        time.sleep(LOOK_S)


def used(checks: Mapping[str, Check]) -> dict[str, str]:
    """Use each service once; what it does not do."""
    found = {}
    for service, check in checks.items():
        try:
            found[service] = check() or ""
        except ServalError as error:
            found[service] = error.message
    return found


def write(daemon: Daemon) -> None:
    """Write the files that differ. Raises RequestError, with the old files back, when the program refuses."""
    before = {file: read(file) for file in daemon.files}
    differing = [file for file, text in daemon.files.items() if before[file] != text]
    if not differing:
        return
    for file in differing:
        make(Folder(file.parent, mode=0o700))
        write_whole(file, daemon.files[file])
    if not daemon.test:
        return
    try:
        test(daemon)
    except RequestError:
        for file in differing:
            old = before[file]
            if old is None:
                file.unlink(missing_ok=True)
            else:
                write_whole(file, old)
        raise


def test(daemon: Daemon) -> None:
    """Let the program read its files. Raises RequestError with what it says."""
    command = [program(daemon.test[0], daemon.package), *daemon.test[1:]]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TEST_S,
            check=False,
            errors="replace",
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RequestError(f"{' '.join(daemon.test)}: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise RequestError(f"{daemon.name} refuses its new configuration, the old one stays: {said}")


def make(folder: Folder) -> None:
    """Make a folder and those above it; an existing one keeps what it is. Raises RequestError."""
    if folder.path.is_dir():
        return
    try:
        folder.path.mkdir(mode=folder.mode, parents=True, exist_ok=True)
        if folder.user and os.getuid() == 0:
            shutil.chown(folder.path, folder.user, folder.user)
    except (OSError, LookupError) as error:
        raise RequestError(f"{folder.path} cannot be made: {error}") from error


def read(file: Path) -> str | None:
    """The text of a file; None when there is none. Raises RequestError."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}") from error


def last_words(log: Path) -> str:
    """The end of a daemon's log as a sentence."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return f"It said: {' | '.join(lines[-LOG_LINES:]) or 'nothing'} (log {log})"


def _digest(command: tuple[str, ...], files: Mapping[Path, str]) -> str:
    whole = hashlib.sha256()
    for part in (*command, *(word for file in sorted(files) for word in (str(file), files[file]))):
        whole.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return whole.hexdigest()
