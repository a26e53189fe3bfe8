"""What a command may know about its caller: streams, environment and terminal, never globals."""

import os
import pwd
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(slots=True)
class Context:
    """The caller of one command. A command server fills it from the client, `local` from this process."""

    out: TextIO
    err: TextIO
    stdin: TextIO
    env: Mapping[str, str]
    cwd: Path
    #: Who asks, as `user@host` or `user`.
    who: str
    #: Colours, prompts and progress bars only where this is true.
    terminal: bool
    #: Reads a file for the caller (`^file` in a noderange, tabrestore's), with the caller's own rights.
    read_file: Callable[[Path], bytes] = field(default=Path.read_bytes)
    #: One request is one job: whoever asks again with the same words gets the same job.
    request: str = field(default_factory=lambda: os.urandom(16).hex())
    #: Whether a command server began with this request and was lost.
    again: bool = False
    #: Nodes whose results the caller has seen already, when it asks again.
    shown: frozenset[str] = frozenset()
    #: Told which nodes' results were printed just now.
    note_shown: Callable[[list[str]], None] = field(default=lambda nodes: None)

    def read_text(self, path: Path) -> str:
        """A file's text. Raises OSError and UnicodeDecodeError as Path.read_text does."""
        return self.read_file(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")

    def say(self, line: str) -> None:
        """One line on standard output."""
        self.out.write(line + "\n")

    def complain(self, line: str) -> None:
        """One line on standard error."""
        self.err.write(line + "\n")


def user_name(uid: int, env: Mapping[str, str]) -> str:
    """Who asks: the kernel's word, except that root may say for whom (sudo)."""
    if uid == 0 and env.get("SUDO_USER"):
        return env["SUDO_USER"]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def local() -> Context:
    """The context of a command that runs in its caller's own process."""
    return Context(
        out=sys.stdout,
        err=sys.stderr,
        stdin=sys.stdin,
        env=dict(os.environ),
        cwd=Path.cwd(),
        who=user_name(os.getuid(), os.environ),
        terminal=sys.stdout.isatty(),
    )
