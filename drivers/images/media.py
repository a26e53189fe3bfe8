"""Reading a DVD or its image without mounting it: bsdtar(1), in a jail and without root's capabilities.

Nobody vouches for what an image holds. bsdtar follows no link out of the folder and writes no name with `..`;
without capabilities it makes no device and changes no owner; `mediatree.check` refuses what is left.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError, RequestError, UnavailableError
from core.images.media import Medium, marks, recognise
from drivers.images.jail import Failed, Jail, need_root
from drivers.services.runner import program

#: More than any distribution has on one medium.
MOST_NAMES = 1_000_000
MOST_MARK = 1 << 16
#: `-rw-r--r--  1 0      0    20971520 Nov 22 20:25 pool/a.deb`, of bsdtar -tv.
LISTED = re.compile(r"([-a-z])\S{9}\s+\d+\s+\S+\s+\S+\s+(\d+)\s+\w{3}\s+\d+\s+[\d:]+ (.+)")
#: The identifier of a volume descriptor (ISO 9660, 8.1.2); the first one is in the seventeenth sector.
VOLUME, VOLUME_AT = b"CD001", 16 * 2048 + 1
#: What bsdtar ends with after it has said what was wrong.
SUMMARY = "Error exit delayed from previous errors"
KEPT = ("--no-same-owner", "--no-same-permissions")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a medium holds: bytes of each file, by its name without `./`."""

    sizes: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True)
class Disc:
    """An image of a DVD, or the drive that it is in."""

    path: Path

    def contents(self, jail: Jail) -> Contents:
        """What it holds. Raises Failed, RequestError."""
        jail.outside(*bare("bsdtar"), "-tvf", str(self.path))
        sizes = {}
        with Path(jail.log.name).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found = LISTED.fullmatch(line.rstrip("\n"))
                if found and found[1] != "d":
                    sizes[plain_name(found[3])] = int(found[2])
                if len(sizes) > MOST_NAMES:
                    raise RequestError(f"{self.path} holds more than {MOST_NAMES} files")
        return Contents(sizes)

    def take(self, jail: Jail, to: Path, names: Sequence[str] = ()) -> None:
        """Copy these files, or everything, into a folder. Raises Failed."""
        jail.outside(*bare("bsdtar"), "-xf", str(self.path), "-C", str(to), *KEPT, *names)


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder: a medium that is mounted, or a copy of a mirror."""

    path: Path

    def contents(self, jail: Jail) -> Contents:
        """What it holds. Raises RequestError."""
        sizes = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name)
                sizes[str(path.relative_to(self.path))] = path.lstat().st_size
            if len(sizes) > MOST_NAMES:
                raise RequestError(f"{self.path} holds more than {MOST_NAMES} files")
        return Contents(sizes)

    def take(self, jail: Jail, to: Path, names: Sequence[str] = ()) -> None:
        """Copy these files, or everything, into a folder. Raises Failed."""
        copy = ["--no-dereference", "--preserve=links,timestamps", "--reflink=auto"]
        many = ["--parents", "--", *(f"./{name}" for name in names)] if names else ["--recursive", "--", "."]
        jail.outside(*bare("cp"), *copy, "--target-directory", str(to), *many, folder=self.path)


Source = Disc | Tree


def open_media(path: Path) -> Source:
    """What a path of the command line is. Raises RequestError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        return Tree(path)
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        if not is_disc(path):
            raise RequestError(f"{path} cannot be read, or is no medium: it is not the image of a DVD")
        return Disc(path)
    raise RequestError(f"{path} is neither the image of a DVD, nor a drive, nor a folder")


def is_disc(path: Path) -> bool:
    """Whether it begins as a disc does: bsdtar reads much else, and some of it names files of this host.

    Raises RequestError for what cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(VOLUME_AT)
            return file.read(len(VOLUME)) == VOLUME
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Inspected:
    """What copycds -i says: the medium, if it is known, and what it holds."""

    medium: Medium | None
    contents: Contents


def inspect(source: Source) -> Inspected:
    """Read what a medium says of itself; nothing is written but in a folder of its own, which goes.

    Raises RequestError for what cannot be read.
    """
    need_root()
    with tempfile.TemporaryDirectory(prefix="serval-media-") as top:
        place = Path(top, "files")
        place.mkdir()
        with Path(top, "listing").open("wb") as log, readable(source.path):
            contents = source.contents(Jail(log))
            names = marks(contents.sizes)
            if names:
                source.take(Jail(log), place, names)
        texts = {name: text for name in names if (text := mark(place, name)) is not None}
    return Inspected(recognise(texts, contents.sizes), contents)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What bsdtar or cp say of a medium that it cannot read, as a sentence."""
    try:
        yield
    except Failed as failed:
        if failed.is_full:
            raise UnavailableError("no space is left on the file system of the copy") from None
        lines = [line for line in failed.said.splitlines() if line.strip() and SUMMARY not in line]
        said = "".join(lines[-1:]).removeprefix("bsdtar: ").strip()[:300]
        raise DefinitionError(f"{path} cannot be read, or is no medium: {said}") from None
    except OSError as error:
        raise UnavailableError(f"{error.filename or path}: {error.strerror}") from error


def mark(place: Path, name: str) -> str | None:
    """The text of a file that was taken out; None for what is none."""
    path = place / name
    if path.resolve().is_relative_to(place.resolve()) and path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_MARK)
    return None


def plain_name(listed: str) -> str:
    """A name as bsdtar lists it, without `./` and what a link points to."""
    return listed.split(" -> ")[0].split(" link to ")[0].removeprefix("./")


def bare(name: str) -> list[str]:
    """A program of this host, as root but with no more than the right to read every file."""
    packages = {"bsdtar": "libarchive-tools", "cp": "coreutils"}
    limits = ["--bounding-set=-all,+dac_read_search", "--inh-caps=-all", "--no-new-privs"]
    return [program("setpriv", "util-linux"), *limits, "--", program(name, packages[name])]
