"""The root that nodes have over NFS, on a service node: unpacked from its archive beside the one in service.

Owners, modes, device files, hard links and extended attributes come with it, so root alone does it. The tree
that is replaced stays as `.rootimg-statelite.old` until the next time, as on the management node: nodes that
have it for their root go on with it.
"""

import errno
import os
import tempfile
from pathlib import Path

from core.errors import RequestError
from core.nodeset.files import LITE_ROOT
from drivers.images.capture import UNPACK
from drivers.images.fetch import Tell
from drivers.images.jail import Failed, Jail, need_root
from drivers.images.lite import OLD, put_tree
from drivers.images.shelf import clear
from drivers.services.runner import program


def unpack(archive: Path, place: Path, tell: Tell, there: int) -> None:
    """Unpack an archive into `place`.

    Raises RequestError, UnavailableError, OSError when there is no space, and what `tell` raises. It
    hears again and again that `there` bytes are there.
    """
    need_root()
    if not archive.is_file():
        raise RequestError(f"{archive.name} is not there: run liteimg once more on the management node")
    place.mkdir(mode=0o700, exist_ok=True)
    new = place / LITE_ROOT
    clear(new)
    new.mkdir()

    def stop() -> bool:
        tell(there)
        return False

    words = [program("tar", "tar"), f"--use-compress-program={program('zstd', 'zstd')}"]
    words += [f"--file={archive}" if word == "--file=-" else word for word in UNPACK[1:]]
    try:
        with tempfile.NamedTemporaryFile() as log, Path(log.name).open("ab") as output:
            Jail(output, stop).outside(*words, f"--directory={new}")
    except Failed as failed:
        clear(new)
        if failed.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(new)) from None
        last = failed.said.strip().rpartition("\n")[2][:300]
        raise RequestError(f"{archive.name} cannot be unpacked: {last}; the old root stays") from None


def put(place: Path, folder: Path) -> None:
    """Put what was unpacked into service."""
    put_tree(place / LITE_ROOT, folder / LITE_ROOT, folder / OLD)


def remove(folder: Path, place: Path) -> None:
    """Take the tree out of service, then delete it, and the one before it."""
    place.mkdir(mode=0o700, exist_ok=True)
    for name in (LITE_ROOT, OLD):
        clear(place / name)
        if (folder / name).exists():
            (folder / name).rename(place / name)
        clear(place / name)
