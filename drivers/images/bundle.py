"""Bundles of imgexport: a .tgz of a manifest and plain files, whose sizes and SHA-256 the manifest knows.

What is in it is compressed already, so gzip only wraps it: reading and writing go as fast as the disk.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from core.errors import DefinitionError, RequestError, UnavailableError
from core.images import manifest as manifests
from core.images.manifest import Manifest, Part
from drivers.images.jail import Cancelled

STORED = 0
CHUNK = 1 << 20
#: What the archive may hold between two files of it: headers.
SLACK = 1 << 20

#: Whether to give up.
Stop = Callable[[], bool]
#: A file of this host, or its text.
Content = Path | bytes
#: What archives raise that are none.
BROKEN = (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, UnicodeError, ValueError)


@dataclass
class Metered:
    """A stream of which only so many bytes may be read before `left` is set anew."""

    source: IO[bytes]
    stop: Stop
    left: int = SLACK

    def read(self, size: int) -> bytes:
        """As files do. Raises DefinitionError for a bundle that holds more than it says."""
        if self.stop():
            raise Cancelled("cancelled")
        found = self.source.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise DefinitionError("the bundle holds more than its manifest says")
        return found


def part_of(content: Content, stop: Stop) -> Part:
    """Size and hash of a file. Raises RequestError for what is no plain file."""
    if isinstance(content, bytes):
        return Part(len(content), hashlib.sha256(content).hexdigest())
    with opened(content) as file:
        digest = hashlib.sha256()
        meter = Metered(file, stop, os.fstat(file.fileno()).st_size)
        while piece := meter.read(CHUNK):
            digest.update(piece)
        status = os.fstat(file.fileno())
        return Part(status.st_size, digest.hexdigest(), bool(status.st_mode & 0o100))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A plain file, open for reading. Raises RequestError for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RequestError(f"{path} is no plain file")
    with os.fdopen(handle, "rb") as file:
        yield file


def write_bundle(made: Manifest, contents: Mapping[str, Content], target: Path, stop: Stop) -> None:
    """Write a bundle, for its owner alone; the file appears when it is whole, and never replaces another.

    Raises RequestError and UnavailableError.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            _write(made, contents, file, stop)
            file.flush()
            os.fsync(handle)
        os.link(name, target)
    except FileExistsError as error:
        raise RequestError(f"{target} is there already: remove it, or name another file") from error
    except OSError as error:
        raise UnavailableError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _write(made: Manifest, contents: Mapping[str, Content], file: IO[bytes], stop: Stop) -> None:
    text = made.to_text().encode()
    with (
        gzip.GzipFile("", "wb", STORED, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.addfile(header(manifests.NAME, Part(len(text), "")), io.BytesIO(text))
        for name, part in made.files.items():
            content = contents[name]
            if isinstance(content, bytes):
                archive.addfile(header(name, part), io.BytesIO(content))
            else:
                with opened(content) as source:
                    archive.addfile(header(name, part), Metered(source, stop, part.size))  # type: ignore[arg-type]


def header(name: str, part: Part) -> tarfile.TarInfo:
    """Root's, with no time: equal images make equal bundles."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = part.size, 0o755 if part.executable else 0o644
    return info


def read_manifest(bundle: Path, stop: Stop = lambda: False) -> Manifest:
    """What a bundle says of itself; nothing else of it is read. Raises RequestError."""
    with _archive(bundle, stop) as (archive, meter):
        return _manifest(archive, meter, bundle)


def unpack(bundle: Path, place: Path, told: Manifest, stop: Stop) -> None:
    """Write the files of a bundle below a folder, under the names of its manifest, when all are as it says.

    Raises RequestError for a bundle that is not the one of `told`, or not what it says.
    """
    with _archive(bundle, stop) as (archive, meter):
        if _manifest(archive, meter, bundle) != told:
            raise RequestError(f"{bundle} has changed meanwhile")
        left = dict(told.files)
        while info := _next(archive, meter):
            part = left.pop(info.name, None)
            if part is None or info.size != part.size:
                raise DefinitionError(
                    f"{bundle} holds {info.name[:200]!r}, which its manifest does not name so"
                )
            meter.left = part.size + SLACK
            _unpack_one(archive, info, part, place / info.name)
        if left:
            raise DefinitionError(f"{bundle} lacks {', '.join(sorted(left)[:5])}")


def _unpack_one(archive: tarfile.TarFile, info: tarfile.TarInfo, part: Part, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    source = archive.extractfile(info)
    if source is None:
        raise DefinitionError(f"{info.name[:200]!r} is no file")
    with target.open("xb") as file:
        while piece := source.read(CHUNK):
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != part.sha256:
        raise DefinitionError(f"{info.name} is damaged: its SHA-256 is not the one in the manifest")
    target.chmod(0o755 if part.executable else 0o644)


@contextmanager
def _archive(bundle: Path, stop: Stop) -> Iterator[tuple[tarfile.TarFile, Metered]]:
    with opened(bundle) as file:
        meter = Metered(cast(IO[bytes], gzip.GzipFile(fileobj=file)), stop)
        try:
            with tarfile.open(fileobj=meter, mode="r|") as archive:  # type: ignore[call-overload]
                yield archive, meter
        except BROKEN as error:
            raise DefinitionError(f"{bundle} is no whole bundle of imgexport: {error}") from error


def _manifest(archive: tarfile.TarFile, meter: Metered, bundle: Path) -> Manifest:
    info = _next(archive, meter)
    if info is None or info.name != manifests.NAME or info.size > manifests.MOST_BYTES:
        said = "its first file is not manifest.json (bundles of xCAT, with manifest.xml, cannot be read)"
        raise DefinitionError(f"{bundle} is no bundle of Serval's imgexport: {said}")
    meter.left = info.size + SLACK
    source = archive.extractfile(info)
    return manifests.from_text(source.read() if source else b"")


def _next(archive: tarfile.TarFile, meter: Metered) -> tarfile.TarInfo | None:
    """The next file; None behind the last. Raises DefinitionError for what is no plain file."""
    meter.left = SLACK
    info = archive.next()
    if info is not None and (info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.sparse):
        if info.isdir() and info.name in (".", ""):  # xCAT's begin so
            return info
        raise DefinitionError(f"the bundle holds {info.name[:200]!r}, which is no plain file")
    return info
