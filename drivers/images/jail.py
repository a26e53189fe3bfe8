"""Programs that build an image: each in mount and process namespaces of its own (unshare(1)).

When such a program ends, or whoever started it is killed, the kernel ends all its processes and takes its
mounts away with the namespace. So nothing is ever left to clean up, and no process of a package's script
outlives its step.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from core.errors import RequestError, ServalError, UnavailableError
from drivers.services.runner import SEARCH, program

LOOK_S = 0.2
TAIL = 16_384
#: As the kernel, apt, dnf and tar say that a disk is full.
FULL = (
    "No space left on device", "Disk quota exceeded", "have enough free space in", "more space needed on",
    "Wrote only",
)  # fmt: skip
#: $1: the root; $2: folders of this host to show in it, one a line; the rest: the command.
#: Devices are those that every program may have; /run and /tmp are the step's own.
AROUND = """set -e
root=$1 shown=$2
shift 2
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for node in null zero full random urandom tty; do
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for link in fd:/proc/self/fd stdin:/proc/self/fd/0 stdout:/proc/self/fd/1 stderr:/proc/self/fd/2; do
    ln -s "${link#*:}" "$root/dev/${link%%:*}"
done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
echo "$shown" | while read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "$root$folder"
    mount --bind -o ro "$folder" "$root$folder"
done
if [ -e /etc/resolv.conf ]; then
    rm -f "$root/etc/resolv.conf"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
fi
exec "$@"
"""


class Cancelled(ServalError):
    """The build was cancelled."""


@dataclass(frozen=True, slots=True)
class Failed(Exception):
    """A program ended with another status than 0; `said` is the end of what it wrote."""

    command: tuple[str, ...]
    status: int
    said: str

    @property
    def is_full(self) -> bool:
        """Whether the disk was full."""
        return any(words in self.said for words in FULL)


@dataclass(frozen=True, slots=True)
class Jail:
    """Where programs of one build run. Their output goes to the log."""

    log: BinaryIO
    #: Whether the build shall end; looked at several times a second.
    stop: Callable[[], bool] = lambda: False
    env: Mapping[str, str] = field(default_factory=dict)

    def outside(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> str:
        """Run a program that sees this host's files; the end of what it wrote.

        Raises Failed, Cancelled, and UnavailableError when it cannot be started.
        """
        return self._run(command, env or {}, folder, stdin=stdin)

    def inside(
        self, root: Path, *command: str, env: Mapping[str, str] | None = None, shown: Sequence[Path] = ()
    ) -> str:
        """Run a program of the image in it, with proc, sys and dev; `shown` are folders it may read."""
        return self._mounted(root, ("chroot", str(root), *command), env or {}, shown, command)

    def around(self, root: Path, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run a program of this host that starts programs of the image in it, as dnf does."""
        return self._mounted(root, command, env or {}, (), command)

    def _mounted(
        self,
        root: Path,
        command: Sequence[str],
        env: Mapping[str, str],
        shown: Sequence[Path],
        told: Sequence[str],
    ) -> str:
        listed = "\n".join(map(str, shown))
        return self._run(("sh", "-c", AROUND, "sh", str(root), listed, *command), env, None, told)

    def _run(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path | None,
        told: Sequence[str] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> str:
        told = tuple(told or command)
        if self.stop():
            raise Cancelled("cancelled")
        self.log.write(f"+ {' '.join(told)}\n".encode())
        self.log.flush()
        began = self.log.tell()
        setpriv, unshare = program("setpriv", "util-linux"), program("unshare", "util-linux")
        apart = [setpriv, "--pdeathsig", "KILL", "--"]
        apart += [unshare, "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", *command]
        environment = {"PATH": SEARCH, "LC_ALL": "C.UTF-8", "HOME": "/root", **self.env, **env}
        try:
            process = subprocess.Popen(
                apart, cwd=folder or "/", env=environment, stdin=stdin,
                stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True, restore_signals=True,
            )  # fmt: skip
        except OSError as error:
            raise UnavailableError(f"{command[0]} cannot be started: {error.strerror}") from error
        status = self._await(process)
        said = self._since(began)
        if status:
            raise Failed(told, status, said)
        return said

    def _await(self, process: subprocess.Popen[bytes]) -> int:
        """The exit status; the kernel ends the rest of the namespace with its first process."""
        try:
            while True:
                try:
                    return process.wait(LOOK_S)
                except subprocess.TimeoutExpired:
                    if self.stop():
                        raise Cancelled("cancelled") from None
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def _since(self, began: int) -> str:
        """What was written to the log since, at most its last TAIL bytes."""
        with Path(self.log.name).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(began, end - TAIL))
            return file.read().decode("utf-8", "replace")


def need_root() -> None:
    """Raises RequestError for anybody else: owners, devices and mounts of an image are root's business."""
    if os.getuid():
        raise RequestError("images are built and packed by root; run Serval's worker as root")


def free_space(folder: Path, least: int) -> None:
    """Raises UnavailableError when a file system has less than so many bytes left."""
    left = shutil.disk_usage(folder).free
    if left < least:
        raise UnavailableError(f"{folder} has {left >> 20} MB left; {least >> 20} MB are needed at least")
