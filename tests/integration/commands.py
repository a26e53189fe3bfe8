"""Running our commands in this process, as the console scripts do."""

import io
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.context import Context
from cli.entry import run


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str


@dataclass
class Shell:
    """Somebody at a prompt."""

    env: Mapping[str, str]
    cwd: Path

    def run(self, line: str, stdin: str = "") -> Answer:
        """The answer to a command line."""
        name, *words = shlex.split(line)
        return self.call(name, words, stdin)

    def call(self, name: str, words: list[str], stdin: str = "", **more: Any) -> Answer:
        """The answer to a command and its words; `more` is Context's."""
        out, err = io.StringIO(), io.StringIO()
        context = Context(out, err, io.StringIO(stdin), self.env, self.cwd, "tester", terminal=False, **more)
        return Answer(run(name, words, context), out.getvalue(), err.getvalue())

    def ok(self, line: str, stdin: str = "") -> str:
        """The output of a command that must succeed without a complaint."""
        answer = self.run(line, stdin)
        assert (answer.status, answer.err) == (0, ""), (line, answer)
        return answer.out
