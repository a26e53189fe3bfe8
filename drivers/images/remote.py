"""genimage on another machine (`--on HOST`): of another architecture, or with tools that are missing here.

Everything goes over one ssh session: what builds (drivers/images/parcel.py), steps and log, and the finished
tree, which is unpacked here under the lock and put into service as if it had been built here. Nothing of
Serval has to be on HOST, and nothing is left there.
"""

import hashlib
import json
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from core import errors
from core.errors import RequestError, ServalError, UnavailableError
from drivers.images import parcel
from drivers.images.build import (
    EDITION,
    LEAST_BYTES,
    WHEELS,
    Built,
    Gather,
    Tell,
    is_current,
    nothing_gathered,
    put_into_service,
)
from drivers.images.jail import Cancelled, Failed, Jail, free_space, need_root
from drivers.images.recipe import Recipe
from drivers.images.reuse import rest
from drivers.images.shelf import Record, Shelf
from drivers.images.sshlogin import connect
from drivers.images.sshname import Login

BEAT_S = 1.0
#: Without a sign of life for so long the other side is lost.
SILENT_S = 60.0
END_S = 20.0
PIECE = 1 << 16
#: What it takes to begin: an own folder, locked, into which the parcel comes; it goes whatever happens.
BOOT = """\
import fcntl, os, pathlib, shutil, signal, sys, tempfile
if sys.version_info < (3, 11):
    sys.exit("Python %d.%d is too old here, 3.11 is needed" % sys.version_info[:2])
size = int(sys.argv[1])
folder = tempfile.mkdtemp(prefix="serval-build-", dir=os.environ.get("TMPDIR", "/var/tmp"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
try:
    with open(folder + "/parcel.zip", "wb") as file:
        while size:
            part = os.read(0, min(size, 65536)) or sys.exit("the parcel ended early")
            size -= file.write(part)
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder + "/parcel.zip")
    from drivers.images.farside import main
    main(pathlib.Path(folder))
finally:
    shutil.rmtree(folder, ignore_errors=True)
"""
UNPACK = 'zstd -q -d -c -- "$1" | tar --extract --preserve-permissions --numeric-owner --xattrs'
UNPACK += ' --xattrs-include="*" --acls --directory="$2"'


def build_on(
    to: Login,
    recipe: Recipe,
    folder: Path,
    jail: Jail,
    tell: Tell,
    *,
    fresh: bool = False,
    gather: Gather = nothing_gathered,
) -> Built:
    """As drivers.images.build.build, on another machine, always afresh. Raises ServalError, naming it."""
    need_root()
    shelf = Shelf(folder)
    with shelf.workshop() as place:
        free_space(place, LEAST_BYTES)
        before = shelf.record()
        if not fresh and is_current(shelf, recipe):
            return Built(before, unchanged=True)
        wheels = None
        if recipe.worker:
            tell(1, "wheels of Serval's worker")
            wheels = place / WHEELS
            gather(recipe.worker, jail, wheels)
        parcel.wrap(recipe, wheels, place / "parcel")
        tell(1, f"{to}: connecting")
        far = _build_there(to, place, jail, tell)
        root = place / "rootimg"
        root.mkdir()
        tell(94, "unpacking")
        try:
            jail.outside("bash", "-o", "pipefail", "-c", UNPACK, "unpack", str(place / "tree"), str(root))
        except Failed as failed:
            raise UnavailableError(f"the tree from {to} cannot be unpacked: {failed.said[-300:]}") from None
        record = _record(far, before, recipe)
        put_into_service(shelf, place, before, record, root, tell)
    return Built(record)


def _build_there(to: Login, place: Path, jail: Jail, tell: Tell) -> dict[str, Any]:
    """The record of what was built; the archive of it is in `tree` then."""
    client = connect(to)
    try:
        with client.get_transport().open_session() as channel:
            talk = Talk(to, channel, jail, tell)
            try:
                talk.begin(place / "parcel")
                last = talk.follow()
                talk.receive(last, place / "tree")
            finally:
                talk.end()
            return dict(last["record"])
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise UnavailableError(f"{to} was lost during the build: {error}") from None
    finally:
        client.close()


@dataclass(slots=True)
class Talk:
    """One session with the other side (drivers/images/farside.py)."""

    to: Login
    channel: Any
    jail: Jail
    tell: Tell
    _rest: bytes = b""
    _said: str = ""
    _beaten: float = 0.0
    _heard: float = field(default_factory=time.monotonic)

    def begin(self, parcel_: Path) -> None:
        """Start it, and send the parcel."""
        size = parcel_.stat().st_size
        self.channel.settimeout(BEAT_S)
        self.channel.exec_command(f"exec python3 -c {shlex.quote(BOOT)} {size}")
        with parcel_.open("rb") as file:
            while part := file.read(PIECE):
                self._send(part)

    def _send(self, part: bytes) -> None:
        """Send all of it; a machine that has ended or takes nothing for long raises UnavailableError."""
        began = time.monotonic()
        while part:
            try:
                part = part[self.channel.send(part) :]
            except TimeoutError:
                self._look()
                if time.monotonic() > began + SILENT_S:
                    raise UnavailableError(f"{self.to} takes nothing any more") from None
            except OSError:
                raise self._ended() from None

    def _look(self) -> None:
        """Raises Cancelled when the build shall end."""
        if self.jail.stop():
            raise Cancelled("cancelled")

    def end(self) -> None:
        """Let the other side end whatever it does, and clean up."""
        self.channel.shutdown_write()
        deadline = time.monotonic() + END_S
        while not self.channel.exit_status_ready() and time.monotonic() < deadline:
            try:
                self.channel.recv(PIECE)
            except TimeoutError:
                continue

    def _receive(self) -> bytes:
        """Some bytes; none when it has ended. Gives and awaits signs of life meanwhile."""
        while True:
            self._look()
            now = time.monotonic()
            if now > self._beaten + BEAT_S:
                with suppress(OSError):  # whoever has ended may have said why, which comes now
                    self.channel.send(b"\n")
                self._beaten = now
            if self.channel.recv_stderr_ready():
                self._said = (self._said + self.channel.recv_stderr(PIECE).decode("utf-8", "replace"))[-4000:]
            try:
                part = self.channel.recv(PIECE)
            except TimeoutError:
                if now > self._heard + SILENT_S:
                    raise UnavailableError(
                        f"{self.to} says nothing any more; the build is given up"
                    ) from None
                continue
            self._heard = now
            return bytes(part)

    def follow(self) -> dict[str, Any]:
        """Pass steps and log on until the tree is there; its frame. Raises what went wrong there."""
        while True:
            frame = self._frame()
            if "log" in frame:
                self.jail.log.write(frame["log"].encode())
                self.jail.log.flush()
            if "step" in frame:
                percent, text = frame["step"]
                self.tell(int(percent), f"{self.to}: {text}")
            if "error" in frame:
                raise self._error(str(frame["error"]), str(frame["message"]))
            if "record" in frame:
                return frame

    def _frame(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            part = self._receive()
            if not part:
                raise self._ended()
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            return dict(json.loads(line))
        except ValueError:
            raise UnavailableError(f"{self.to} says what cannot be read: {line[:200]!r}") from None

    def receive(self, last: dict[str, Any], file: Path) -> None:
        """The archive behind the last frame. Raises UnavailableError when it is not what was sent."""
        left, digest = int(last["size"]), hashlib.sha256()
        with file.open("wb") as out:
            while left:
                part = self._rest or self._receive()
                if not part:
                    raise self._ended()
                part, self._rest = part[:left], b""
                digest.update(part)
                left -= out.write(part)
        if digest.hexdigest() != last["sha256"]:
            raise UnavailableError(f"the tree from {self.to} is not what was sent (SHA-256)")

    def _error(self, name: str, message: str) -> ServalError:
        if self.jail.stop():
            return Cancelled("cancelled")
        kind = getattr(errors, name, UnavailableError)
        usual = isinstance(kind, type) and issubclass(kind, RequestError)
        return (kind if usual else UnavailableError)(f"{self.to}: {message}")

    def _ended(self) -> UnavailableError:
        """The session ended without a last frame: what was said on its standard error."""
        deadline = time.monotonic() + BEAT_S
        while time.monotonic() < deadline and not self.channel.exit_status_ready():
            time.sleep(0.02)
        while self.channel.recv_stderr_ready():
            self._said += self.channel.recv_stderr(PIECE).decode("utf-8", "replace")
        last = self._said.strip().rpartition("\n")[2][:300]
        if self.channel.exit_status_ready() and self.channel.recv_exit_status() == 127:
            last = f"python3 is not installed there ({last})"
        return UnavailableError(f"{self.to}: the build has ended early: {last or 'the connection is lost'}")


def _record(far: dict[str, Any], before: Record, recipe: Recipe) -> Record:
    """What was built there, and what is packed here."""
    packed = {name: getattr(before, name) for name in ("file", "sha256", "size", "packed")}
    own = {"digest": recipe.digest(EDITION), "rest": rest(recipe, EDITION), "built": time.time()}
    return Record(**far | packed | own)
