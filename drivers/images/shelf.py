"""The folder of an image (linuximage.rootimgdir): what is in service there, and what is being made.

What is being made lies in `.build`, which nobody but root may enter, on the same file system. Whoever builds
holds the lock; so what lies in `.build` when the lock is had was left behind by a process that is gone.
Nothing gets out of it but whole, by a rename.
"""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import RequestError, UnavailableError
from drivers.files import write_whole

BUILD = ".build"
LOCK = ".lock"
RECORD = "image.json"
ROOT = "rootimg"
KERNEL = "kernel"
INITRD = "initrd-stateless.gz"
AT_FDCWD = -100
RENAME_EXCHANGE = 2


@dataclass(frozen=True, slots=True)
class Record:
    """What lies in the folder: `image.json`. Service nodes compare the hash of what they serve with it."""

    name: str = ""
    #: Of everything that the root was made of; empty while there is none.
    digest: str = ""
    #: Kernel and RAM disk in the root, relative to it.
    kernel: str = ""
    initrd: str = ""
    built: float = 0.0
    packages: Mapping[str, str] = field(default_factory=dict)
    #: For drivers/images/reuse.py: a hash of what must not change, the lists, and the base system's packages.
    rest: str = ""
    lists: Sequence[Mapping[str, Any]] = ()
    base: Sequence[str] = ()
    #: The packed image: name below the folder, SHA-256, bytes, when.
    file: str = ""
    sha256: str = ""
    size: int = 0
    packed: float = 0.0


@dataclass(frozen=True, slots=True)
class Shelf:
    """One image's folder."""

    folder: Path

    @property
    def root(self) -> Path:
        """The root tree in service."""
        return self.folder / ROOT

    def record(self) -> Record:
        """What was made here; an empty record where nothing was, or by somebody else."""
        try:
            told = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            return Record(**told)
        except (OSError, ValueError, TypeError):
            return Record()

    def note(self, record: Record) -> None:
        """Write the record."""
        write_whole(self.folder / RECORD, json.dumps(asdict(record), indent=1) + "\n", 0o644)

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """An empty folder to build in, gone afterwards. Raises RequestError while somebody else builds."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOCK).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise RequestError(f"{self.folder} is being built or packed by another job") from error
                place = self.folder / BUILD
                clear(place)
                place.mkdir(mode=0o700)
                try:
                    yield place
                finally:
                    clear(place)
        except OSError as error:
            raise UnavailableError(f"{error.filename or self.folder}: {error.strerror}") from error

    def put_root(self, new: Path) -> None:
        """Put a root tree into service; the one before goes to where the new one was."""
        if self.root.exists():
            exchange(new, self.root)
        else:
            new.rename(self.root)

    def put(self, new: Path, name: str) -> None:
        """Put one file into service in place of another."""
        new.chmod(0o644)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(self.folder / name)

    def put_boot(self, place: Path, record: Record) -> None:
        """Copy kernel and RAM disk out of the root in service, and put them into service."""
        for name, inside in ((KERNEL, record.kernel), (INITRD, record.initrd)):
            shutil.copyfile(self.root / inside, place / name)
        for name in (KERNEL, INITRD):
            self.put(place / name, name)

    def packed(self) -> list[Path]:
        """The packed images here, whoever made them."""
        return sorted(path for path in self.folder.glob(f"{ROOT}.*") if path.is_file())


def sweep(folder: Path) -> bool:
    """Remove what a build that was killed has left; False when there is nothing, or it still goes on."""
    if not (folder / BUILD).exists():
        return False
    try:
        with Shelf(folder).workshop():
            return True
    except RequestError:
        return False


def clear(place: Path) -> None:
    """Remove a tree in which nothing is mounted."""
    if place.exists():
        shutil.rmtree(place)


def exchange(one: Path, other: Path) -> None:
    """Let two paths change places at once (renameat2(2)); one after the other on NFS, which cannot."""
    call = ctypes.CDLL(None, use_errno=True).renameat2
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number), str(other))
        aside = one.with_name(f"{one.name}.old")
        other.rename(aside)
        one.rename(other)


def with_pack(record: Record, new: Path, name: str, now: float) -> Record:
    """The record with a packed image in it."""
    with new.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(record, file=name, sha256=digest, size=new.stat().st_size, packed=now)
