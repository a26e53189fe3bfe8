"""The copy of an installation tree on a service node: what it lacks comes, and a new tree takes its place.

What comes lies in `.NAME.fetch` beside the tree, each file under its SHA-256, so a fetch that was cut or
killed goes on with what is there, whatever version it is for. The new tree has hard links to what the old one
has already. A tree that somebody has put there by hand stays beside as `.NAME.old`.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from core.errors import RequestError
from core.imagedoc import ImageDoc, ImageFile
from core.images import medialist
from core.images.medialist import NAME, MediaFile, MediaList
from drivers.images import medialook
from drivers.images.fetch import digest, length
from drivers.images.shelf import clear, exchange

#: Brings one file of a URL's path to a place; hears what was there before it.
Take = Callable[[ImageFile, str, Path, int], None]


def beside(tree: Path) -> Path:
    """Where what comes lies."""
    return tree.with_name(f".{tree.name}.fetch")


def bring(doc: ImageDoc, tree: Path, take: Take, room: Callable[[Path, int], None]) -> bool:
    """Make a tree what its document says; whether anything came. Until then the old one stays as it is.

    `room` refuses when so many bytes do not fit. Raises RequestError for a list that leads out of the tree,
    OSError, and what `take` raises.
    """
    place = beside(tree)
    (place / "files").mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o700)
    clear(place / "new")
    listed = doc.files[0]
    take(listed, f"/{doc.folder}/{listed.name}", place / "list", 0)
    media = medialist.from_text((place / "list").read_text(encoding="utf-8"))
    if media.size != doc.listed:
        raise RequestError(f"the list of {doc.title} names {media.size} bytes, and not {doc.listed}")
    missing = _missing(tree, media)
    if not missing and not _strange(tree, media):
        _adopt(tree, media, place)
        return False
    _take_files(doc, missing, media.size, place, take, room)
    _build(tree, media, missing, place)
    _put(tree, place)
    return True


def _missing(tree: Path, media: MediaList) -> dict[str, MediaFile]:
    """The files that the tree on this host does not have yet."""
    known = medialook.read(tree) or MediaList()
    return {path: file for path, file in media.files.items() if not _has(tree, path, file, known)}


def _has(tree: Path, path: str, file: MediaFile, known: MediaList) -> bool:
    """Whether the file lies there, in a folder of this tree; what is not known by its time is read."""
    try:
        status = (tree / path).lstat()
        if not (tree / path).resolve().is_relative_to(tree.resolve()):
            return False
    except OSError:
        return False
    seen = known.files.get(path)
    if seen and medialook.is_as(status, seen):
        return seen.sha256 == file.sha256
    return medialook.is_file(status) and status.st_size == file.size and digest(tree / path) == file.sha256


def _strange(tree: Path, media: MediaList) -> list[str]:
    """Folders and links that are not as they should be."""
    return medialook.lacking(tree, MediaList(media.folders, {}, media.links))


def _take_files(
    doc: ImageDoc,
    missing: dict[str, MediaFile],
    size: int,
    place: Path,
    take: Take,
    room: Callable[[Path, int], None],
) -> None:
    """Bring each file once, however often the tree has it."""
    wanted = {file.sha256: (path, file) for path, file in missing.items()}
    for old in (place / "files").iterdir():
        if old.name not in wanted:
            old.unlink()
    room(place, sum(file.size - length(place / "files" / sha256) for sha256, (_, file) in wanted.items()))
    done = size - sum(file.size for file in missing.values())
    for sha256, (path, file) in wanted.items():
        one = ImageFile(path, file.size, sha256)
        take(one, f"/{doc.folder}/{path}", place / "files" / sha256, done)
        done += file.size


def _build(tree: Path, media: MediaList, missing: dict[str, MediaFile], place: Path) -> None:
    """The new tree in `place`, of links to what came and to what is there."""
    new = place / "new"
    new.mkdir()
    for path in sorted(media.folders):
        (new / path).mkdir()
    used: dict[str, MediaFile] = {}
    for path, file in media.files.items():
        source = place / "files" / file.sha256 if path in missing else tree / path
        before = used.setdefault(file.sha256, file)
        if path in missing and (before.mtime_ns, before.executable) != (file.mtime_ns, file.executable):
            shutil.copyfile(source, new / path)
        else:
            os.link(source, new / path)
        _dress(new / path, file)
    for path, target in media.links.items():
        (new / path).symlink_to(target)
    for path in ("", *media.folders):
        (new / path).chmod(0o755)
    (place / "list").chmod(0o644)
    os.link(place / "list", new / NAME)


def _dress(path: Path, file: MediaFile) -> None:
    """Mode and time as they are listed."""
    status = path.stat()
    mode = 0o755 if file.executable else 0o644
    if status.st_mode & 0o7777 != mode:
        path.chmod(mode)
    if status.st_mtime_ns != file.mtime_ns:
        os.utime(path, ns=(file.mtime_ns, file.mtime_ns))


def _adopt(tree: Path, media: MediaList, place: Path) -> None:
    """All files are there already: give them the times of the list, and the tree its list."""
    for path, file in media.files.items():
        _dress(tree / path, file)
    (place / "list").chmod(0o644)
    (place / "list").replace(tree / NAME)
    clear(place)


def _put(tree: Path, place: Path) -> None:
    """Put the new tree into service by one rename, when all of it is on the disk."""
    os.sync()
    if not tree.exists():
        (place / "new").rename(tree)
    else:
        is_ours, by_hand = (tree / NAME).exists(), tree.with_name(f".{tree.name}.old")
        exchange(place / "new", tree)
        if not is_ours and not by_hand.exists():
            (place / "new").rename(by_hand)
    clear(place)


def remove(tree: Path) -> None:
    """Take a tree out of service, and then delete it."""
    place = beside(tree)
    place.mkdir(mode=0o700, exist_ok=True)
    clear(place / "gone")
    if tree.exists():
        tree.rename(place / "gone")
    clear(place)
