"""An image folder served by a real nginx, and a wire to it that can be cut."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.imagedoc import ImageDoc
from drivers.freeport import free_port
from drivers.images.copies import ImageCopies, describe
from drivers.images.fetch import Server
from drivers.services import nginx
from drivers.services.nginx import Tree, Web

FOLDER = "install/netboot/debian12/x86_64/compute"
FILES = ("kernel", "initrd-stateless.gz", "rootimg.sfs")
HERE = "127.0.0.1"
CHECKOUT = Path(__file__).resolve().parents[2]
FETCH = """
import sys
from pathlib import Path
from core.imagedoc import from_text
from drivers.images.copies import ImageCopies
from drivers.images.fetch import Server
top, port, document = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_text()
ImageCopies(top / "state", lambda folder: top / folder).keep(
    from_text(document), [Server("127.0.0.1", port)], lambda there: print(there, flush=True))
"""


@dataclass
class Origin:
    """The management node's files and their nginx."""

    top: Path
    port: int

    @property
    def server(self) -> Server:
        """How it is reached."""
        return Server(HERE, self.port)

    @property
    def folder(self) -> Path:
        """Where the image lies."""
        return self.top / FOLDER

    def pack(self, seed: str, size: int = 6 << 20) -> ImageDoc:
        """Put an image of this size there; the same seed makes the same."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for share, name in zip((8, 4, 1), FILES, strict=True):
            (self.folder / name).write_bytes(noise(f"{seed} {name}", size // share))
        return describe("compute", FOLDER, self.folder, FILES, None)


@dataclass
class Wire:
    """A relay to a server that closes each connection after so many bytes of its answers, one number each."""

    to: Server
    limits: list[int] = field(default_factory=list)
    #: The Range header of each request, empty for none; bytes of all answers that came through.
    ranges: list[str] = field(default_factory=list)
    carried: int = 0
    #: How many connections there were.
    lines: int = 0
    _ear: socket.socket = field(default_factory=lambda: socket.create_server((HERE, 0)))

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def server(self) -> Server:
        """Its own end."""
        return Server(HERE, self._ear.getsockname()[1])

    def close(self) -> None:
        """Take no more connections."""
        self._ear.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._ear.accept()
                with client, suppress(OSError):
                    self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        asked = self._requests(client)
        left = self.limits.pop(0) if self.limits else 1 << 40
        self.lines += 1
        with socket.create_connection((self.to.host, self.to.port)) as far:
            far.sendall(asked)
            more = threading.Thread(target=self._ask_more, args=(client, far), daemon=True)
            more.start()
            while left > 0 and (chunk := far.recv(min(left, 65536))):
                client.sendall(chunk)
                left -= len(chunk)
                self.carried += len(chunk)
            for end in (client, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            more.join()

    def _ask_more(self, client: socket.socket, far: socket.socket) -> None:
        """Further requests on the same connection."""
        with suppress(OSError):
            while asked := self._requests(client):
                far.sendall(asked)
            far.shutdown(socket.SHUT_RDWR)

    def _requests(self, client: socket.socket) -> bytes:
        """One request, of which note is taken; empty when there are no more."""
        asked = b""
        while b"\r\n\r\n" not in asked:
            if not (chunk := client.recv(65536)):
                return b""
            asked += chunk
        found = [line[6:] for line in asked.decode().split("\r\n") if line.startswith("Range:")]
        self.ranges.append(found[0].strip() if found else "")
        return asked


def opened(top: Path) -> ImageCopies:
    """The copies of a service node whose files are in `top`."""
    return ImageCopies(top / "state", lambda folder: top / folder)


def silent(there: int) -> None:
    """Nobody hears how far it is."""


def kill_halfway(top: Path, server: Server, doc: ImageDoc) -> None:
    """Bring an image in a process of its own, and kill that when more than half of it is there."""
    file = top / "document"
    file.write_text(doc.to_text())
    words = [sys.executable, "-c", FETCH, str(top), str(server.port), str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) > doc.size // 2:
                os.kill(process.pid, signal.SIGKILL)
                break


def noise(seed: str, size: int) -> bytes:
    """Bytes that do not compress and are the same for a seed."""
    return hashlib.shake_128(seed.encode()).digest(size)


@contextmanager
def origin(top: Path) -> Iterator[Origin]:
    """Serve `top` as a management node does. Everybody must be able to enter the folder."""
    port = free_port()
    state = top / "nginx"
    for folder in (top / "install", top / "tftpboot", state):
        folder.mkdir(parents=True)
    trees = (Tree("/install", top / "install"), Tree("/tftpboot", top / "tftpboot"))
    settings = Web(trees, port, "", b"")
    described = nginx.daemon(settings, state, "nfsserver")
    for file, text in described.files.items():
        file.write_text(text)
    with (top / "log").open("w") as log:
        process = subprocess.Popen(described.command, stderr=log, stdin=subprocess.DEVNULL)
    made = Origin(top, port)
    try:
        _wait(made, process)
        yield made
    finally:
        process.terminate()
        process.wait()


def _wait(made: Origin, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        with suppress(OSError), socket.create_connection((HERE, made.port)):
            return
        assert process.poll() is None and time.monotonic() < deadline, (made.top / "log").read_text()
        time.sleep(0.02)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def free_bytes(folder: Path) -> int:
    """What is free there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
