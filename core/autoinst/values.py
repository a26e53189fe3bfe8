"""How values of tables stand in installers' answers, so that none becomes a line or a word of its own.

A value stands for itself only when no format reads anything in it; otherwise the template says how it is
quoted: `shell` (shell scripts and kickstart, which splits words as a shell does) or `json` (YAML too).
"""

import json
import re
import shlex

from core.errors import DefinitionError

#: Printable, and nothing that quotes, continues a line or is expanded by a shell.
PLAIN = re.compile(r"[^\"'`\\$]*")


class Ready(str):
    """Text that stands in the answers as it is: quoted, or checked."""

    __slots__ = ()


def plain(value: object) -> Ready:
    """A value without quotes. Raises DefinitionError when it cannot go without; it is not shown."""
    if isinstance(value, Ready):
        return value
    return Ready(checked(str(value), PLAIN, "is written without quotes and holds one of \" ' ` \\ $"))


def shell(value: object) -> Ready:
    """A value as one word of a shell or a kickstart. Raises DefinitionError for one of several lines."""
    return Ready(shlex.quote(one_line(value)))


def as_json(value: object) -> Ready:
    """A value as JSON, which YAML reads too; with ASCII alone."""
    return Ready(json.dumps(value))


def one_line(value: object) -> str:
    """The value, when it is one line of printable letters. Raises DefinitionError."""
    return checked(str(value), re.compile(".*"), "")


def checked(text: str, pattern: re.Pattern[str], otherwise: str) -> str:
    """The text, when it is printable and matches. Raises DefinitionError."""
    if not text.isprintable():
        raise DefinitionError("a value holds a line break or another letter that is not printable")
    if not pattern.fullmatch(text):
        raise DefinitionError(f"a value {otherwise}: let the template quote it, with | shell or | json")
    return text
