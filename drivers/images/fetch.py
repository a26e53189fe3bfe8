"""Bringing one file of known size and hash over HTTP, going on where an earlier try ended (RFC 9110, ranges).

What has come lies in a part file that stays when a try fails or the process is killed. It is the file only
when its SHA-256 is right; otherwise it is thrown away.
"""

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from core.errors import RequestError, UnavailableError
from core.imagedoc import ImageFile

TIMEOUT_S = 15.0
CHUNK = 1 << 18
#: Between two rounds through all servers in which nothing came at all.
PAUSES_S = (0.5, 2.0, 5.0, 15.0)
NAP_S = 0.2

#: Hears how many bytes are there; may raise, which ends the fetch and leaves the part file.
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Server:
    """A host that serves installdir over HTTP."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"


class Different(Exception):
    """A server has another file of this name, or none: it is not asked again. Its text says so."""


class Lines:
    """Connections to servers, each used again as long as both ends keep it."""

    def __init__(self) -> None:
        self._open: dict[Server, http.client.HTTPConnection] = {}
        #: Who gave something last: it is asked first.
        self.best: Server | None = None

    def close(self) -> None:
        """Close all."""
        for server in list(self._open):
            self._drop(server)

    @contextmanager
    def asked(
        self, server: Server, method: str, path: str, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer; who does not read it to its end loses the connection. Raises UnavailableError."""
        answer = self._ask(server, method, path, headers)
        try:
            with answer:
                yield answer
        finally:
            if answer.length != 0:
                self._drop(server)

    def _ask(
        self, server: Server, method: str, path: str, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        while True:
            again = server in self._open
            if not again:
                self._open[server] = http.client.HTTPConnection(server.host, server.port, timeout=TIMEOUT_S)
            try:
                self._open[server].request(method, quote(path), headers=headers)
                return self._open[server].getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._drop(server)
                if not again:  # one that was kept may have been closed meanwhile
                    raise UnavailableError(f"{server}{path}: {error or type(error).__name__}") from error

    def _drop(self, server: Server) -> None:
        if connection := self._open.pop(server, None):
            connection.close()


def fetch(
    file: ImageFile,
    path: str,
    servers: Sequence[Server],
    part: Path,
    tell: Tell,
    pauses: Sequence[float] = PAUSES_S,
    lines: Lines | None = None,
) -> None:
    """Make `part` the whole file; `path` is that of the URL.

    Each server is asked in turn, and all again as long as more of the file comes; one that has another file
    is not asked again. Raises UnavailableError with what each said, RequestError when the disk does not take
    it, and whatever `tell` raises.
    """
    lines = lines or Lines()
    left, said, fruitless = sorted(servers, key=lambda one: one != lines.best), dict[Server, str](), 0
    while left and fruitless <= len(pauses):
        before = length(part)
        for server in list(left):
            try:
                begun = _take(file, path, server, part, tell, lines)
            except UnavailableError as error:
                said[server] = error.message
                continue
            except Different as error:
                said[server] = str(error)
                left.remove(server)
                continue
            if digest(part) == file.sha256:
                lines.best = server
                return
            part.unlink()
            said[server] = f"{server}{path} is not the file that was packed: its SHA-256 differs"
            if not begun:
                left.remove(server)
        fruitless = 0 if length(part) > before else fruitless + 1
        if left and 0 < fruitless <= len(pauses):
            _nap(pauses[fruitless - 1], lambda: tell(length(part)))
    raise UnavailableError("; ".join(said.values()) or f"nobody serves {path}")


def served(server: Server, path: str, size: int) -> str:
    """What is wrong with a file as a server offers it; empty when it has this size."""
    lines = Lines()
    try:
        with lines.asked(server, "HEAD", path, {}) as answer:
            found = answer.getheader("Content-Length")
    except UnavailableError as error:
        return error.message
    finally:
        lines.close()
    if answer.status != http.client.OK:
        return f"{server}{path}: status {answer.status} {answer.reason}"
    return "" if found == str(size) else f"{server}{path} has {found} bytes, not {size}"


def length(file: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    return file.stat().st_size if file.exists() else 0


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _take(file: ImageFile, path: str, server: Server, part: Path, tell: Tell, lines: Lines) -> int:
    """Take what is missing from one server; the bytes that were there before.

    Raises UnavailableError when it does not come, Different when it never will.
    """
    have = length(part)
    if have > file.size:
        part.unlink()
        have = 0
    with _opened(part) as out:
        if have == file.size:
            return have
        headers = {"Range": f"bytes={have}-"} if have else {}
        with lines.asked(server, "GET", path, headers) as answer:
            begun = _offset(answer, f"{server}{path}", have, file.size)
            out.seek(begun)
            out.truncate()
            _copy(answer, out, file.size, tell, f"{server}{path}")
    return begun


def _offset(answer: http.client.HTTPResponse, url: str, have: int, size: int) -> int:
    """Where the body begins. Raises Different when it is not of a file of this size."""
    if answer.status == http.client.PARTIAL_CONTENT:
        if answer.getheader("Content-Range") != f"bytes {have}-{size - 1}/{size}":
            raise Different(f"{url} is not the file that was packed: it has another size")
        return have
    if answer.status != http.client.OK:
        raise Different(f"{url}: status {answer.status} {answer.reason}")
    if answer.getheader("Content-Length") not in (None, str(size)):
        raise Different(f"{url} is not the file that was packed: it has another size")
    return 0


def _copy(answer: http.client.HTTPResponse, out: BinaryIO, size: int, tell: Tell, url: str) -> None:
    while out.tell() <= size:
        try:
            chunk = answer.read1(CHUNK)  # what is there: nothing of it is lost when the rest does not come
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{url}: {error or type(error).__name__}") from error
        if not chunk:
            break
        _write(out, chunk)
        tell(out.tell())
    if out.tell() != size:
        raise UnavailableError(f"{url}: the connection ended after {out.tell()} of {size} bytes")


def _opened(part: Path) -> BinaryIO:
    """The part file, unbuffered, so that what is written is there."""
    try:
        part.touch()
        return part.open("r+b", buffering=0)
    except OSError as error:
        raise RequestError(f"{part} cannot be written: {error.strerror}") from error


def _write(out: BinaryIO, chunk: bytes) -> None:
    """A disk that is full is given back what the part file had taken."""
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as error:
        out.truncate(0)
        raise RequestError(f"{out.name} cannot be written: {error.strerror}") from error


def _nap(seconds: float, look: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        look()
        time.sleep(min(left, NAP_S))
