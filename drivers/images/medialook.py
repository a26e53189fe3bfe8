"""Looking at an installation tree on this host: what it holds, and whether it is still what its list says.

What has the size and the time that the list knows is not read again, so a look at a whole distribution takes
a tenth of a second, and a file that an administrator has changed or added is seen.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from core.errors import RequestError, UnavailableError
from core.images import medialist
from core.images.medialist import NAME, MediaFile, MediaList, is_plain, stays_inside
from drivers.files import write_whole
from drivers.images.fetch import digest
from drivers.images.jail import Cancelled
from drivers.images.shelf import BUILD, LOCK

SECOND = 10**9
#: Of copycds, where discs have a folder each.
NOT_OURS = frozenset({BUILD, LOCK})


def never() -> bool:
    """Nobody gives up."""
    return False


def read(tree: Path) -> MediaList | None:
    """The list that lies in a tree; None when there is none that can be used."""
    try:
        return medialist.from_text((tree / NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RequestError):
        return None


def renew(tree: Path, stop: Callable[[], bool] = never) -> tuple[MediaList, list[str]]:
    """Make the list of a tree say what is there, and what other hosts cannot have, such as links out of it.

    Only what has changed is read. Raises UnavailableError, RequestError when the list cannot be written.
    """
    known = read(tree)
    try:
        found, left_out = look(tree, known or MediaList(), stop)
    except OSError as error:
        raise UnavailableError(f"{error.filename or tree}: {error.strerror}") from error
    if found != known:
        write_whole(tree / NAME, found.to_text(), 0o644)
    return found, left_out


def look(tree: Path, known: MediaList, stop: Callable[[], bool]) -> tuple[MediaList, list[str]]:
    """What is in a tree, in order; and what other hosts cannot have. Raises OSError, Cancelled."""
    folders: list[str] = []
    files: dict[str, MediaFile] = {}
    links: dict[str, str] = {}
    left_out = []
    for path, status in sorted(_below(tree), key=lambda one: one[0]):
        mode = status.st_mode
        if stop():
            raise Cancelled("cancelled")
        if not is_plain(path):
            left_out.append(path)
        elif stat.S_ISDIR(mode):
            folders.append(path)
        elif stat.S_ISREG(mode):
            seen = known.files.get(path)
            same = seen is not None and is_as(status, seen)
            sha256 = seen.sha256 if seen and same else digest(tree / path)
            mtime = seen.mtime_ns if seen and same else status.st_mtime_ns
            files[path] = MediaFile(status.st_size, mtime, sha256, bool(mode & 0o111))
        elif stat.S_ISLNK(mode) and stays_inside(path, target := str((tree / path).readlink())):
            links[path] = target
        else:
            left_out.append(path)
    return MediaList(tuple(folders), files, links), left_out


def is_as(status: os.stat_result, file: MediaFile) -> bool:
    """Whether a file has the size and the time of the list; some file systems know whole seconds only."""
    if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
        return False
    whole = status.st_mtime_ns % SECOND == 0 and status.st_mtime_ns // SECOND == file.mtime_ns // SECOND
    return status.st_mtime_ns == file.mtime_ns or whole


def is_file(status: os.stat_result) -> bool:
    """Whether it is a plain file."""
    return stat.S_ISREG(status.st_mode)


def lacking(tree: Path, media: MediaList) -> list[str]:
    """What of a list is not in a tree as the list says, by size and time; what else is there is ignored."""
    return [
        *(path for path in media.folders if not _is(tree / path, stat.S_ISDIR)),
        *(path for path, file in media.files.items() if not _is_file(tree / path, file)),
        *(path for path, target in media.links.items() if not _leads(tree / path, target)),
    ]


def _below(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in a tree but its list; no link is followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(tree / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if path == NAME or entry.name in NOT_OURS:
                    continue
                if entry.is_dir(follow_symlinks=False) and is_plain(path):
                    waiting.append(path)
                yield path, entry.stat(follow_symlinks=False)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.lstat().st_mode)
    except OSError:
        return False


def _is_file(path: Path, file: MediaFile) -> bool:
    try:
        return is_as(path.lstat(), file)
    except OSError:
        return False


def _leads(path: Path, target: str) -> bool:
    try:
        return str(path.readlink()) == target
    except OSError:
        return False
