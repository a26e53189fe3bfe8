"""The list of an installation tree: what every copy of it holds, and service nodes bring what they lack.

It lies in the tree as `serval.manifest`, and its own SHA-256 is the version of the tree. It comes from
another host, so nothing in it is believed that could lead out of the tree: a path has a folder of the list
above it, and the target of a link has `..` only before its first name, so no chain of links leaves the tree.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import DefinitionError

NAME = "serval.manifest"
#: More than any distribution has.
MOST_NAMES = 1_000_000
LONGEST_NAME, LONGEST_PATH = 255, 3000
HASH = re.compile(r"[0-9a-f]{64}")
#: Beyond a file system's numbers.
HUGE = 1 << 62


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file of the tree."""

    size: int
    mtime_ns: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class MediaList:
    """All of a tree, by paths relative to it."""

    folders: tuple[str, ...] = ()
    files: Mapping[str, MediaFile] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def to_text(self) -> str:
        """As JSON, the same for equal trees."""
        files = {
            path: [file.size, file.mtime_ns, file.sha256, file.executable]
            for path, file in sorted(self.files.items())
        }
        told = {"folders": sorted(self.folders), "links": dict(sorted(self.links.items())), "files": files}
        return json.dumps(told) + "\n"


def from_text(text: str) -> MediaList:
    """The list that `to_text` wrote. Raises DefinitionError when it is none, or leads out of the tree."""
    try:
        told = json.loads(text)
        files = {str(path): _file(*parts) for path, parts in told["files"].items()}
        links = {str(path): str(target) for path, target in told["links"].items()}
        found = MediaList(tuple(map(str, told["folders"])), files, links)
        for path in _wrong(found):
            raise ValueError(f"it holds {path[:200]!r}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DefinitionError(f"the list of an installation tree cannot be read: {error}") from error
    return found


def is_plain(path: str) -> bool:
    """Whether a path is one below the tree, with names that can be printed."""
    names = path.split("/")
    short = all(len(name.encode("utf-8", "replace")) <= LONGEST_NAME for name in names)
    return path.isprintable() and not {"", ".", ".."} & set(names) and short and len(path) <= LONGEST_PATH


def stays_inside(path: str, target: str) -> bool:
    """Whether a link at `path` stays in the tree wherever other links of it lead."""
    if not target or not target.isprintable() or target.startswith("/") or len(target) > LONGEST_PATH:
        return False
    names = [name for name in target.split("/") if name not in ("", ".")]
    up = next((number for number, name in enumerate(names) if name != ".."), len(names))
    return up <= path.count("/") and ".." not in names[up:]


def _file(size: Any, mtime_ns: Any, sha256: Any, executable: Any) -> MediaFile:
    numbers = type(size) is int and 0 <= size < HUGE and type(mtime_ns) is int and abs(mtime_ns) < HUGE
    if not numbers or type(executable) is not bool or not HASH.fullmatch(sha256):
        raise ValueError(f"a file of {size!r} bytes with the hash {str(sha256)[:80]!r}")
    return MediaFile(size, mtime_ns, sha256, executable)


def _wrong(found: MediaList) -> Iterator[str]:
    """Paths that no tree has."""
    paths = [*found.folders, *found.files, *found.links]
    folders = {"", *found.folders}
    if len(paths) > MOST_NAMES:
        yield f"{len(paths)} names"
    if len(set(paths)) < len(paths):
        yield "a name twice"
    for path in paths:
        if not is_plain(path) or path.rpartition("/")[0] not in folders or path == NAME:
            yield path
    for path, target in found.links.items():
        if not stays_inside(path, target):
            yield f"{path} -> {target}"
