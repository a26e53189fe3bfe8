"""What a command may know about its caller: streams, environment and terminal, never globals."""

import os
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
    #: Reads a file for the caller (`^file` in a noderange, stanza files), with the caller's own rights.
    read_text: Callable[[Path], str] = field(default=lambda path: path.read_text(encoding="utf-8"))

    def say(self, line: str) -> None:
        """One line on standard output."""
        self.out.write(line + "\n")

    def complain(self, line: str) -> None:
        """One line on standard error."""
        self.err.write(line + "\n")


def local() -> Context:
    """The context of a command that runs in its caller's own process."""
    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())
    return Context(
        out=sys.stdout,
        err=sys.stderr,
        stdin=sys.stdin,
        env=dict(os.environ),
        cwd=Path.cwd(),
        who=user,
        terminal=sys.stdout.isatty(),
    )
