"""Package lists: what is installed and removed, in which transactions (xCAT's pkglist and otherpkgs.pkglist).

An entry is `pkg`, `@group`, `-pkg` (removed before the others of its transaction are installed) or `--pkg`
(removed after); several may stand in one line, with commas. `#ENV:A=1 B=2#` is for its transaction;
`#NEW_INSTALL_LIST#` begins the next one. In otherpkgs.pkglist an entry is `folder/of/repository/pkg`.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.images.lists import Line, Reader, read_lines

#: Names of Debian and RPM packages, with version and architecture: `libc6:amd64`, `bash=5.2-1`, `kernel-*`.
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~=*^-]{0,199}")
#: Groups and modules: `@core`, `@^minimal-environment`, `@nodejs:20/common`, `@Development Tools`.
GROUP = re.compile(r"[A-Za-z0-9^][A-Za-z0-9 ._+:/^-]{0,199}")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*(/[A-Za-z0-9_][A-Za-z0-9._+~-]*)*")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A package or `@group`, with the line that asks for it."""

    name: str
    place: str = field(compare=False)
    #: Of otherpkgs.pkglist: the repository's folder below otherpkgdir.
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the package manager does at once: removals, then installing, then removals."""

    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[Entry, ...] = ()
    install: tuple[Entry, ...] = ()
    after: tuple[Entry, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them."""
        return (*self.before, *self.install, *self.after)


def read_pkglist(
    files: Iterable[str], read: Reader, variables: Mapping[str, str], *, other: bool = False
) -> tuple[Transaction, ...]:
    """The transactions of these files, each file after the other; those without an entry are left out.

    With `other` they are otherpkgs lists. Raises DefinitionError, naming file and line.
    """
    found: list[Transaction] = []
    for file in files:
        block: list[Line] = []
        for line in read_lines(file, read, variables):
            if line.text.startswith("#NEW_INSTALL_LIST"):
                found.append(_transaction(block, other))
                block = []
            else:
                block.append(line)
        found.append(_transaction(block, other))
    return tuple(one for one in found if one.entries)


def _transaction(lines: Sequence[Line], other: bool) -> Transaction:
    environment: dict[str, str] = {}
    kinds: dict[str, list[Entry]] = {"": [], "-": [], "--": []}
    for line in lines:
        if line.text.startswith("#ENV:"):
            environment |= _environment(line)
            continue
        for word in line.text.split(","):
            if word.strip():
                dashes, entry = _entry(line, word.strip(), other)
                kinds[dashes].append(entry)
    once = {dashes: tuple(dict.fromkeys(entries)) for dashes, entries in kinds.items()}
    return Transaction(environment, before=once["-"], install=once[""], after=once["--"])


def _entry(line: Line, word: str, other: bool) -> tuple[str, Entry]:
    """The dashes in front, and the rest."""
    name = word.removeprefix("-").removeprefix("-")
    dashes, folder = word[: len(word) - len(name)], ""
    if name.startswith("@"):
        if not GROUP.fullmatch(name[1:]):
            raise line.wrong(f"{word[:80]!r} is no name of a group")
        return dashes, Entry(name, line.place)
    if other:
        folder, _, name = name.rpartition("/")
        if folder and (not FOLDER.fullmatch(folder) or dashes):
            raise line.wrong(f"{word[:80]!r}: a folder stands before a package to install, without '..'")
    if not PACKAGE.fullmatch(name):
        raise line.wrong(f"{word[:80]!r} is no name of a package")
    return dashes, Entry(name, line.place, folder)


def _environment(line: Line) -> dict[str, str]:
    try:
        words = shlex.split(line.text.removeprefix("#ENV:"))
    except ValueError as error:
        raise line.wrong(f"#ENV: {error}") from error
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not NAME.fullmatch(name):
            raise line.wrong(f"#ENV: {word[:80]!r} is not NAME=VALUE")
        if not value.isprintable():
            raise line.wrong(f"#ENV: the value of {name} holds characters that are not printable")
        found[name] = value
    return found
