"""One folder that a TFTP and an HTTP server read: files appear in it whole, and equal files share one inode.

A name is only ever set by rename(2), so who opens it gets the old file or the new one. Nothing is flushed to
the disk: a killed process loses nothing by that, and `treestate` trusts no file that is older than the last
start of the machine.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG

#: Read-only: an editor that writes in place would change every node that shares the file.
_MODE = 0o444


def digest(data: bytes) -> str:
    """The checksum by which texts are compared."""
    return sha256(data).hexdigest()[:20]


class Folder:
    """Files by path relative to one folder. Methods that change something raise OSError."""

    def __init__(self, root: Path, new: str = ".serval-new") -> None:
        """`new` is the name under which a file is made; one process at a time may use it."""
        self._new = new
        root.mkdir(parents=True, exist_ok=True)
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._seen: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._root)

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None when there is none."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read()

    def digest(self, path: str) -> str | None:
        """The checksum of a file; None when it cannot be read. Files that share an inode are read once."""
        try:
            status = os.stat(path, dir_fd=self._root, follow_symlinks=False)
            inode = (status.st_dev, status.st_ino)
            if inode not in self._seen:
                data = self.read(path) if S_ISREG(status.st_mode) else None
                if data is None:
                    return None
                self._seen[inode] = digest(data)
        except OSError:
            return None
        return self._seen[inode]

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Path → checksum, empty for a file that is not there."""
        return {path: self.digest(path) or "" for path in paths}

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file."""
        with suppress(FileNotFoundError):
            os.unlink(self._new, dir_fd=self._root)
        handle = os.open(
            self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE, dir_fd=self._root
        )
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), _MODE)
                file.write(data)
                status = os.fstat(file.fileno())
            self._seen[status.st_dev, status.st_ino] = digest(data)
            self._name(path)
        except OSError:
            os.unlink(self._new, dir_fd=self._root)
            raise

    def link(self, path: str, source: str) -> None:
        """Make or replace a file by one more name of `source`."""
        try:
            self._link(source)
        except FileExistsError:  # left by a killed process, or by rename(2) between two names of one file
            os.unlink(self._new, dir_fd=self._root)
            self._link(source)
        self._name(path)

    def _link(self, source: str) -> None:
        os.link(source, self._new, src_dir_fd=self._root, dst_dir_fd=self._root, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path, dir_fd=self._root)

    def _name(self, path: str) -> None:
        try:
            os.rename(self._new, path, src_dir_fd=self._root, dst_dir_fd=self._root)
        except FileNotFoundError:
            self._make_parents(path)
            os.rename(self._new, path, src_dir_fd=self._root, dst_dir_fd=self._root)

    def _make_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            with suppress(FileExistsError):
                os.mkdir("/".join(parts[:depth]), 0o755, dir_fd=self._root)

    def list(self, folder: str) -> list[str]:
        """Paths of the regular files directly in a folder; empty when there is none."""
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            with os.scandir(handle) as entries:
                return [f"{folder}/{entry.name}" for entry in entries if entry.is_file(follow_symlinks=False)]
        finally:
            os.close(handle)
