"""What a boot tree remembers between two runs: its revision, who is behind, and which node owns which files.

Two JSON files in a folder of their own. `boot.json` is the state. `boot.doing` is written before the first
boot file is touched and removed after the state is saved: whoever finds it knows which files a killed run may
have changed, and trusts the state for none of them. After a start of the machine (Linux's boot_id) no file is
trusted and the revision is 0, which is why nothing has to be flushed to the disk.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import RequestError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: In place of a checksum: a file that may hold anything.
DOUBTFUL = ""
#: Path below tftpdir → checksum, or DOUBTFUL.
Files = dict[str, str]


@dataclass(slots=True)
class TreeState:
    """The state itself."""

    revision: int = 0
    behind: list[str] = field(default_factory=list)
    nodes: dict[str, Files] = field(default_factory=dict)

    def doubt_all(self) -> None:
        """Trust no file."""
        self.nodes = {node: dict.fromkeys(files, DOUBTFUL) for node, files in self.nodes.items()}


class StateFile:
    """Keeps a TreeState in a folder. Every method raises RequestError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "boot.json"
        self._doing = folder / "boot.doing"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time changes the tree; others wait."""
        with self._told():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._folder / "boot.lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self) -> TreeState:
        """What was saved last, with doubts where they are due; an empty state when it is lost."""
        told = _read(self._file)
        try:
            state = TreeState(int(told["revision"]), list(told["behind"]), dict(told["nodes"]))
            booted = told["boot_id"]
        except (KeyError, TypeError, ValueError):
            state, booted = TreeState(), ""
        if booted != _boot_id():
            state.revision = 0
            state.doubt_all()
        for node, paths in _read(self._doing).items():
            touched = [*state.nodes.get(node, ()), *paths]
            state.nodes[node] = dict.fromkeys(touched, DOUBTFUL)
        return state

    def begin(self, doing: Mapping[str, Iterable[str]]) -> None:
        """Note which files of which nodes are about to be made or replaced, besides those that they have."""
        doubts = _read(self._doing)
        for node, paths in doing.items():
            doubts[node] = [*doubts.get(node, ()), *paths]
        self._write(self._doing, doubts)

    def save(self, state: TreeState) -> None:
        """Make this the state; nothing is in doubt any longer."""
        self._write(
            self._file,
            {
                "boot_id": _boot_id(),
                "revision": state.revision,
                "behind": state.behind,
                "nodes": state.nodes,
            },
        )
        with self._told():
            self._doing.unlink(missing_ok=True)

    def _write(self, file: Path, content: object) -> None:
        new = file.with_suffix(".new")
        with self._told():
            new.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
            new.replace(file)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RequestError(
                f"{self._folder} cannot keep the state of the boot files: {error.strerror}"
            ) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()
