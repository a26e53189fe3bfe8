"""Files that are replaced as a whole: who reads them sees the old text or the new one, never a part."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import RequestError

PRIVATE = 0o600


def write_whole(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file, or make it, with `mode`; without one it keeps what it has (0644 for a new one).

    Raises RequestError, and the old file is untouched, when that is not possible.
    """
    target = path.resolve()
    try:
        old = target.stat() if target.exists() else None
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode if mode is not None else old.st_mode & 0o7777 if old else 0o644)
            if old is not None and os.getuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
        Path(temporary).replace(target)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, and those above it. Raises RequestError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{path} cannot be made: {error.strerror}.") from error
