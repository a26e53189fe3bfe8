"""imgcapture's steps: the files of a running node, by tar over ssh, become a root tree that others boot.

tar unpacks what the node sends into the workshop, below its own folder alone. But its dracut runs here as
root, in the tree: whoever captures a node trusts it.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from core.errors import DefinitionError, RequestError, UnavailableError
from core.images.capture import excluded
from drivers.images.build import (
    LEAST_BYTES,
    Tell,
    complete,
    distribution_of,
    explained,
    put_into_service,
)
from drivers.images.jail import Failed, Jail, free_space, need_root
from drivers.images.recipe import Recipe
from drivers.images.shelf import Record, Shelf
from drivers.images.sshlogin import connect
from drivers.images.sshname import Login

LOOK_S = 30.0
#: Without a byte for so long it is lost.
SILENT_S = 120.0
PIECE = 1 << 17
MOST_BYTES = 1 << 20
#: Architecture, dracut's modules in one line each, and what is mounted, behind an empty line.
LOOK = (
    "uname -m; command -v tar >/dev/null || echo no-tar; command -v dracut >/dev/null || echo no-dracut; "
    "for file in /boot/vmlinuz-* /lib/modules/*/vmlinuz; do test -f $file && echo kernel; done; "
    "ls /usr/lib/dracut/modules.d; echo; cat /proc/mounts"
)
#: dracut's modules that booting over the network needs → their package.
MODULES = {"network-legacy": "dracut-network", "livenet": "dracut-live", "dmsquash-live": "dracut-live"}
SEND = (
    "tar --create --file=- --directory=/ --numeric-owner --xattrs --acls --sparse --anchored --wildcards "
    "--wildcards-match-slash --exclude-from=- ."
)
#: Folders of a tree in which this host writes, removes or mounts.
HOLDERS = (
    "etc", "etc/ssh", "proc", "sys", "dev", "run", "tmp", "boot", "lib/modules", "usr/sbin", "var/lib/dbus",
    "var/lib/dpkg", "var/lib/rpm", "var/lib/apt/lists", "etc/apt/sources.list.d", "etc/dpkg/dpkg.cfg.d",
)  # fmt: skip
UNPACK = (
    "tar", "--extract", "--file=-", "--preserve-permissions", "--same-owner", "--numeric-owner", "--xattrs",
    "--xattrs-include=*", "--acls", "--delay-directory-restore",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What a node said of itself."""

    arch: str
    lacks: tuple[str, ...]
    has_kernel: bool
    mounts: str


def capture(
    ways: Sequence[tuple[Login, Login | None]],
    recipe: Recipe,
    folder: Path,
    more: Sequence[str],
    jail: Jail,
    tell: Tell,
) -> Record:
    """Make the tree of an image from a running node, and what it needs to boot.

    The first of `ways` that works is taken: the node, and the machine through which it is reached, if any.
    `more` are patterns of what stays on the node. Raises ServalError, and then everything is as it was.
    """
    need_root()
    distribution = distribution_of(recipe.kind)
    shelf = Shelf(folder)
    with shelf.workshop() as place:
        free_space(place, LEAST_BYTES)
        root = place / "rootimg"
        root.mkdir()
        tell(1, "connecting")
        with reached(ways) as client:
            seen = look(client)
            refuse_unfit(seen, recipe)
            tell(5, "files of the node")
            transfer(client, excluded(seen.mounts, more), root, jail)
        refuse_links(root, [*HOLDERS, *(str(Path(name).parent) for name in recipe.files)])
        (root / "etc/fstab").unlink(missing_ok=True)
        (root / "etc/fstab").touch(0o644)
        with explained(distribution, recipe):
            kernel, initrd = complete(recipe, distribution, root, jail, tell)
        before = shelf.record()
        record = Record(
            recipe.name, "", kernel, initrd, time.time(), distribution.installed(root),
            file=before.file, sha256=before.sha256, size=before.size, packed=before.packed,
        )  # fmt: skip
        put_into_service(shelf, place, before, record, root, tell)
    return record


@contextmanager
def reached(ways: Sequence[tuple[Login, Login | None]]) -> Iterator[paramiko.SSHClient]:
    """A connection the first way that works. Raises UnavailableError with what each way said."""
    said = []
    for to, through in ways:
        try:
            client = connect(to, through)
        except UnavailableError as error:
            said.append(f"through {through}: {error.message}" if through else error.message)
            continue
        with closing(client):
            yield client
        return
    raise UnavailableError("; ".join(said))


def look(client: paramiko.SSHClient) -> Seen:
    """What the node is. Raises UnavailableError."""
    try:
        _, out, _ = client.exec_command(LOOK, timeout=LOOK_S)
        text = out.read(MOST_BYTES).decode("utf-8", "replace")
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise UnavailableError(f"the node does not answer: {error or type(error).__name__}") from error
    head, _, mounts = text.partition("\n\n")
    arch, *lines = head.splitlines() or [""]
    lacks = [word for word in ("tar", "dracut") if f"no-{word}" in lines]
    there = {line[2:] for line in lines if line[:2].isdigit()}
    lacks += [package for module, package in MODULES.items() if module not in there]
    return Seen(arch, tuple(dict.fromkeys(lacks)), "kernel" in lines, mounts)


def refuse_unfit(seen: Seen, recipe: Recipe) -> None:
    """Raises RequestError for a node whose files make no image of this kind."""
    if seen.arch != recipe.kind.osarch:
        raise RequestError(f"the node is {seen.arch[:80]!r}, and osimage {recipe.name} {recipe.kind.osarch}")
    if seen.lacks:
        raise RequestError(f"the node lacks what its RAM disk is made with: install {', '.join(seen.lacks)}")
    if not seen.has_kernel:
        raise RequestError(
            "the node has no kernel, neither in /boot nor in /lib/modules: if its image was packed without "
            "one, take './boot/*' out of its exlist, pack it and boot the node again"
        )


def transfer(client: paramiko.SSHClient, patterns: Sequence[str], root: Path, jail: Jail) -> None:
    """Copy the node's files without those of the patterns. Raises UnavailableError, Cancelled."""
    read_end, write_end = os.pipe()
    pump = Pump(client, patterns, write_end)
    pump.start()
    try:
        jail.outside(*UNPACK, f"--directory={root}", stdin=read_end)
    except Failed as failed:
        last = failed.said.strip().rpartition("\n")[2][:300]
        pump.problem = pump.problem or f"its files cannot be unpacked: {last}"
    finally:
        os.close(read_end)  # and so the pump ends, if it has not
        pump.join(LOOK_S)
    if pump.is_alive():
        pump.problem = "its archive does not end"
    if pump.problem:
        raise UnavailableError(f"the node's files did not come: {pump.problem}")
    if not (root / "etc").is_dir():
        raise DefinitionError("what the node sent has no folder etc: it is no whole system")


def refuse_links(root: Path, names: Iterable[str]) -> None:
    """Raises DefinitionError for a folder of the tree that is a link to one of this host."""
    top = root.resolve()
    for name in dict.fromkeys(names):
        if not (root / name).resolve().is_relative_to(top):
            raise DefinitionError(f"/{name} of the node is a symbolic link that leads out of its tree here")


class Pump(threading.Thread):
    """Carries the node's archive from the connection into a pipe, which it closes at the end."""

    def __init__(self, client: paramiko.SSHClient, patterns: Sequence[str], pipe: int) -> None:
        super().__init__(name="capture", daemon=True)
        self._client = client
        self._patterns = patterns
        self._pipe = pipe
        #: Why the archive is not whole.
        self.problem = ""

    def run(self) -> None:
        """Until the archive's end, the connection's or the pipe's."""
        try:
            with suppress(BrokenPipeError):
                self._carry()
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.problem = f"{error or type(error).__name__}"
        finally:
            os.close(self._pipe)

    def _carry(self) -> None:
        stdin, out, err = self._client.exec_command(f"LC_ALL=C exec {SEND}", timeout=SILENT_S)
        stdin.write("".join(f"{pattern}\n" for pattern in self._patterns))
        stdin.channel.shutdown_write()
        said = b""
        while piece := out.channel.recv(PIECE):
            view = memoryview(piece)
            while view:
                view = view[os.write(self._pipe, view) :]
            while err.channel.recv_stderr_ready():
                said = (said + err.channel.recv_stderr(PIECE))[-PIECE:]
        while piece := err.channel.recv_stderr(PIECE):
            said = (said + piece)[-PIECE:]
        if (status := out.channel.recv_exit_status()) not in (0, 1):  # 1: a file changed meanwhile
            last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
            self.problem = f"tar on the node ended with status {status}: {last}"
