"""What Serval itself started on this host: one small file a daemon, so that nothing else is ever stopped."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import UnavailableError
from drivers.files import make_folder, write_whole

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """A daemon that Serval started. Process id, start time and boot id tell it from a later process."""

    command: tuple[str, ...]
    #: Of command and configuration as the process knows them.
    digest: str = ""
    pid: int = 0
    started: int = 0
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one service node, in a folder that only its owner may read."""

    folder: Path

    def read(self, name: str) -> Record | None:
        """The record of a daemon; None when Serval does not run it. Raises UnavailableError."""
        try:
            told = json.loads(self._file(name).read_text(encoding="utf-8"))
            return Record(**told | {"command": tuple(told["command"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnavailableError(f"{self._file(name)} cannot be read: {error}") from error

    def write(self, name: str, record: Record) -> None:
        """Note that a daemon runs."""
        make_folder(self.folder)
        write_whole(self._file(name), json.dumps(asdict(record)), 0o600)

    def forget(self, name: str) -> None:
        """Note that it does not run any more."""
        self._file(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Every daemon with a record, sorted."""
        return sorted(file.stem for file in self.folder.glob("*.json"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time: a worker that starts, a command and a task may want the same."""
        make_folder(self.folder)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def boot_id() -> str:
    """A word that changes with every start of the host."""
    return BOOT_ID.read_text(encoding="ascii").strip()
