"""The caller of a command at another host, as the process sees them that does it (cli/relay.py)."""

from collections.abc import Callable
from dataclasses import dataclass
from io import RawIOBase
from typing import Any


@dataclass(frozen=True, slots=True)
class Remote:
    """Somebody at another host, whom the relay speaks for."""

    who: str
    #: Whether their standard input is a terminal.
    typing: bool


class RemoteInput(RawIOBase):
    """A standard input at another host: read when the command reads it, and not before."""

    def __init__(self, read_there: Callable[[], bytes], typing: bool) -> None:
        """`read_there` answers what comes next, and nothing at the end."""
        self._read_there = read_there
        self._typing = typing
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Whether somebody types."""
        return self._typing

    def readinto(self, buffer: Any) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        self._rest = self._rest or self._read_there()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
