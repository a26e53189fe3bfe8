"""The copies of images on this host: brought beside what is in service, and put in its place when whole.

What is on its way lies in `.fetch` of the image's folder, which nobody but root may enter, each part under
its SHA-256, so that nothing of another version is ever gone on with. A ledger says which files this host
knows to be which, by size, time and inode; what it does not know is hashed.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.errors import RequestError, ServalError, UnavailableError
from core.imagedoc import Form, ImageDoc, ImageFile
from core.images.medialist import NAME as LIST
from core.nodeset.files import LITE_PARCEL, LITE_ROOT
from drivers.files import make_folder, write_whole
from drivers.images import mediacopy, medialook, rootcopy
from drivers.images.fetch import Lines, Server, Tell, digest, fetch, length
from drivers.images.shelf import clear

FETCH = ".fetch"
#: What makes files known anew that are not what the document says.
REMEDIES = {Form.FILES: "packimage {}", Form.ROOT: "liteimg {}", Form.MEDIA: "serval images --look {}"}
#: No space, and no more of it for this user.
FULL = (errno.ENOSPC, errno.EDQUOT)
#: How many names are said.
MOST_SAID = 3
#: Of a name in `.fetch`: enough of the hash that no two versions meet.
MARK = 16


@dataclass(slots=True)
class Held:
    """One image that is whole here."""

    folder: str
    version: str
    size: int
    #: Whether this host brought it: only then is it removed when nobody wants it any more.
    brought: bool = False
    #: Name → size, mtime_ns, inode, SHA-256.
    files: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    form: str = Form.FILES


class ImageCopies:
    """Keeps ImageDocs (core.imagedoc). Every method raises RequestError or UnavailableError."""

    def __init__(self, state: Path, place: Callable[[str], Path]) -> None:
        """`place` says where a folder that is served as `install/…` lies on this host."""
        self._file = state / "images.json"
        self._place = place
        self._revision, self._held, self._coming = _load(self._file)

    @property
    def held(self) -> dict[str, Held]:
        """The images that are whole here."""
        return {name: one for name, one in self._held.items() if self._unchanged(one)}

    def revision(self) -> int:
        """The revision that all files here are at; 0 when one of them was touched."""
        return self._revision if self.held.keys() == self._held.keys() else 0

    def reached(self, revision: int) -> None:
        """Everything that is wanted up to this revision is here."""
        self._revision = revision
        self._save()

    def keep(self, doc: ImageDoc, servers: Sequence[Server], tell: Tell, *, may_fetch: bool = True) -> None:
        """Make the image whole; what of it is here is not brought again.

        `tell` hears how many of its bytes are there. Until all files of it are whole the old ones stay.
        """
        folder = self._place(doc.folder)
        old = self._held.get(doc.image) or Held(doc.folder, "", 0)
        try:
            missing = [file for file in doc.files if not _is(folder / file.name, file, old)]
            lacking = [file.name for file in missing] or _lacking(doc, folder, old, may_fetch=may_fetch)
            if lacking and not may_fetch:
                names = ", ".join(str(folder / name) for name in lacking[:MOST_SAID])
                remedy = REMEDIES[doc.form].format(doc.image)
                raise RequestError(f"{names}: not what was packed. {remedy} makes it known anew")
            brought = old.brought
            if lacking:
                self._expect(doc)
            if lacking and doc.form is Form.MEDIA:
                brought |= self._bring_media(doc, folder, servers, tell)
            elif lacking:
                brought = True
                self._bring(doc, missing, folder, servers, tell)
            self._note(doc, folder, old, brought=brought)
        except (OSError, RequestError) as error:
            raise self._trouble(error, doc, folder) from error

    def _trouble(self, error: OSError | RequestError, doc: ImageDoc, folder: Path) -> ServalError:
        """What is to be said of it; a disk that is full is given back what was on its way."""
        said = (
            f"{error.filename or folder}: {error.strerror}" if isinstance(error, OSError) else error.message
        )
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in FULL:
            clear(_parts(folder, doc.form))
            return RequestError(
                f"no space is left on the file system of {folder} ({said}); the old image stays"
            )
        return error if isinstance(error, ServalError) else UnavailableError(said)

    def drop(self, image: str) -> None:
        """Forget an image, and remove what of it this host brought, whole or not."""
        coming, old = self._coming.get(image), self._held.get(image)
        for one in (coming, old):
            if one is not None:
                self._remove(one)
        if coming or old:
            self._coming.pop(image, None)
            self._held.pop(image, None)
            self._save()

    def _remove(self, old: Held) -> None:
        """Remove what this host brought of an image."""
        folder = self._place(old.folder)
        try:
            if old.brought and old.form == Form.MEDIA:
                mediacopy.remove(folder)
            elif old.brought:
                _take_away(folder, old.files)
            shutil.rmtree(_parts(folder, Form(old.form)), ignore_errors=True)
            if old.brought and not any(folder.iterdir()):
                folder.rmdir()
        except FileNotFoundError:
            pass  # the folder is gone already
        except OSError as error:
            raise UnavailableError(f"{error.filename or folder}: {error.strerror}") from error

    # -- bringing ----------------------------------------------------------------------------------

    def _bring(
        self, doc: ImageDoc, missing: Sequence[ImageFile], folder: Path, servers: Sequence[Server], tell: Tell
    ) -> None:
        parts = {file: folder / FETCH / f"{file.sha256[:MARK]}-{file.name}" for file in missing}
        (folder / FETCH).mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(folder / FETCH, {one.name for one in (folder / FETCH).iterdir()} - names_of(parts.values()))
        _refuse_without_room(folder, sum(file.size - length(part) for file, part in parts.items()))
        done = doc.size - sum(file.size for file in missing)
        lines = Lines()
        try:
            for file, part in parts.items():
                path = f"/{doc.folder}/{file.name}"
                fetch(file, path, servers, part, _from(tell, done), lines=lines)
                done += file.size
        finally:
            lines.close()
        if doc.form is Form.ROOT:
            archive = next((part for file, part in parts.items() if file.name == LITE_PARCEL), None)
            rootcopy.unpack(archive or folder / LITE_PARCEL, folder / FETCH, tell, doc.size)
        for part in parts.values():
            part.chmod(0o644)
            _flush(part)
        if doc.form is Form.ROOT:
            rootcopy.put(folder / FETCH, folder)
        for file, part in parts.items():
            part.replace(folder / file.name)
        _flush(folder)
        shutil.rmtree(folder / FETCH)

    def _bring_media(self, doc: ImageDoc, tree: Path, servers: Sequence[Server], tell: Tell) -> bool:
        lines = Lines()

        def take(file: ImageFile, path: str, part: Path, done: int) -> None:
            fetch(file, path, servers, part, _from(tell, done), lines=lines)

        try:
            return mediacopy.bring(doc, tree, take, _refuse_without_room)
        finally:
            lines.close()

    def _expect(self, doc: ImageDoc) -> None:
        """Remember what is on its way, so that it can be dropped before it was ever whole."""
        coming = Held(doc.folder, "", 0, brought=doc.form is not Form.MEDIA, form=doc.form)
        if self._coming.get(doc.image) != coming:
            self._coming[doc.image] = coming
            self._save()

    def _note(self, doc: ImageDoc, folder: Path, old: Held, *, brought: bool) -> None:
        new = Held(doc.folder, doc.version, doc.size, brought, form=doc.form)
        new.files = {file.name: (*_mark(folder / file.name), file.sha256) for file in doc.files}
        if doc.form is Form.ROOT:
            new.files[LITE_ROOT] = (*_mark(folder / LITE_ROOT), "")
        if new != old or doc.image in self._coming:
            self._held[doc.image] = new
            self._coming.pop(doc.image, None)
            self._save()
        if doc.form is Form.MEDIA:
            shutil.rmtree(mediacopy.beside(folder), ignore_errors=True)
        elif old.brought and old.folder == doc.folder:
            _take_away(folder, old.files.keys() - new.files.keys())

    def _unchanged(self, one: Held) -> bool:
        try:
            folder = self._place(one.folder)
            if any(_mark(folder / name) != tuple(known[:3]) for name, known in one.files.items()):
                return False
            return one.form != Form.MEDIA or not _lacks_of_list(folder)
        except OSError:
            return False

    def _save(self) -> None:
        told = {
            "revision": self._revision,
            "images": {name: asdict(one) for name, one in self._held.items()},
            "coming": {name: asdict(one) for name, one in self._coming.items()},
        }
        make_folder(self._file.parent)
        write_whole(self._file, json.dumps(told), 0o600)


def describe(image: str, served: str, folder: Path, names: Iterable[str], old: ImageDoc | None) -> ImageDoc:
    """The document of files in `folder`; what `old` knows and nobody has touched since is not hashed again.

    Raises UnavailableError when one cannot be read.
    """
    known = {file.name: file for file in old.files} if old else {}
    files = []
    try:
        for name in names:
            size, mtime_ns, _ = _mark(folder / name)
            seen = known.get(name)
            same = seen is not None and (seen.size, seen.mtime_ns) == (size, mtime_ns)
            sha256 = seen.sha256 if seen and same else digest(folder / name)
            files.append(ImageFile(name, size, sha256, mtime_ns))
    except OSError as error:
        raise UnavailableError(f"{error.filename or folder}: {error.strerror}") from error
    return ImageDoc(image, served, tuple(files), old.asked if old else 0.0)


def names_of(files: Iterable[Path]) -> set[str]:
    """Their names."""
    return {file.name for file in files}


def _parts(folder: Path, form: Form) -> Path:
    """Where what comes of an image lies until it is whole."""
    return mediacopy.beside(folder) if form is Form.MEDIA else folder / FETCH


def _load(file: Path) -> tuple[int, dict[str, Held], dict[str, Held]]:
    """What was saved last; nothing when it is lost."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        held, coming = (
            {name: Held(**one) for name, one in told.get(part, {}).items()} for part in ("images", "coming")
        )
        return int(told["revision"]), held, coming
    except (OSError, ValueError, KeyError, TypeError):
        return 0, {}, {}


def _is(path: Path, file: ImageFile, known: Held) -> bool:
    """Whether a file is what the document says."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    seen = known.files.get(path.name)
    if seen and tuple(seen[:3]) == _mark(path):
        return seen[3] == file.sha256
    return digest(path) == file.sha256


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _refuse_without_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RequestError(
            f"no space is left on the file system of {folder}: {needed >> 20} MB more are needed and "
            f"{free >> 20} MB are free; the old image stays"
        )


def _lacking(doc: ImageDoc, folder: Path, old: Held, *, may_fetch: bool) -> list[str]:
    """What lacks although all files of the document are right."""
    if doc.form is Form.MEDIA:
        return _lacks_of_list(folder)
    if doc.form is Form.FILES or ((folder / LITE_ROOT).is_dir() and not may_fetch):
        return []
    seen = old.files.get(LITE_ROOT)
    if seen is None or old.version != doc.version or not (folder / LITE_ROOT).is_dir():
        return [LITE_ROOT]
    return [] if tuple(seen[:3]) == _mark(folder / LITE_ROOT) else [LITE_ROOT]


def _lacks_of_list(tree: Path) -> list[str]:
    listed = medialook.read(tree)
    return [LIST] if listed is None else medialook.lacking(tree, listed)


def _from(tell: Tell, done: int) -> Tell:
    """Tells of a part of the whole, before which so many bytes were there."""
    return lambda there: tell(done + there)


def _clear(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _take_away(folder: Path, names: Iterable[str]) -> None:
    """Remove files, and a root that is a tree in one step, with the one before it."""
    for name in names:
        if name == LITE_ROOT:
            rootcopy.remove(folder, folder / FETCH)
        else:
            (folder / name).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
