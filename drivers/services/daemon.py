"""The one shape of all daemons that Serval runs: a value the modules beside this one make from settings.

nginx.daemon(…) → Daemon → upkeep.keep_up(daemon, runner)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

#: Uses the daemon; None when it does what it should, else a sentence that says what it does not.
Check = Callable[[], str | None]


class Reload(StrEnum):
    """How a running daemon learns of its changed configuration."""

    SIGNAL = "signal"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Port:
    """A place that a daemon must have for itself; no address means all of them."""

    transport: str
    number: int
    address: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that must be there before the daemon starts; `user` owns it when Serval is root."""

    path: Path
    user: str = ""
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon as it should run."""

    name: str
    #: The Debian package that brings its program.
    package: str
    #: Program and words; it stays in the foreground and writes its log to standard error.
    command: tuple[str, ...]
    #: Configuration files, whole.
    files: Mapping[Path, str] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    #: Makes what else must be there before it starts. Raises RequestError.
    prepare: Callable[[], None] = lambda: None
    ports: tuple[Port, ...] = ()
    #: Lets the program read the files that were just written; it ends with 0 when they are well.
    test: tuple[str, ...] = ()
    reload: Reload = Reload.RESTART
    #: Service (column of servicenode) → what looks whether it works.
    checks: Mapping[str, Check] = field(default_factory=dict)
