"""Indexes of Debian packages in folders of this host: `Packages`, plain or compressed."""

import gzip
import lzma
from pathlib import Path

from core.errors import DefinitionError

NAMES = ("Packages", "Packages.gz", "Packages.xz")
#: No index of packages is longer.
MOST = 1 << 29


def has_index(folder: Path) -> bool:
    """Whether a folder has an index, so that it is a repository."""
    return any((folder / name).exists() for name in NAMES)


def index(folder: Path) -> str:
    """The index of the packages of a folder; empty where there is none. Raises DefinitionError."""
    for file in (folder / name for name in NAMES):
        if file.is_file() and (content := _content(file)):
            return content.decode("utf-8", "replace")
    return ""


def _content(file: Path) -> bytes:
    """What a file holds, uncompressed. Raises DefinitionError when that is too much, or cannot be read."""
    try:
        if file.suffix == ".gz":
            with gzip.open(file) as unpacked:
                content = unpacked.read(MOST + 1)
        elif file.suffix == ".xz":
            with lzma.open(file) as unpacked_xz:
                content = unpacked_xz.read(MOST + 1)
        else:
            with file.open("rb") as plain:
                content = plain.read(MOST + 1)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise DefinitionError(f"{file} cannot be unpacked: {error}") from error
    if len(content) > MOST:
        raise DefinitionError(f"{file} is longer than any index of packages")
    return content
