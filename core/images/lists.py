"""The lines of a pkglist, otherpkgs.pkglist or exlist, with what they include (xCAT's `#INCLUDE:file#`).

Comments and empty lines are gone; every line knows its file and number, for errors that name them.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.errors import DefinitionError

#: The text of a file by its absolute path. Raises OSError or UnicodeDecodeError.
Reader = Callable[[str], str]

VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")
INCLUDE = "#INCLUDE:"
#: Directives; any other line that begins with `#` is a comment.
DIRECTIVES = (INCLUDE, "#ENV:", "#NEW_INSTALL_LIST")


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says something. A directive keeps its first `#` and has lost the last."""

    text: str
    file: str
    number: int

    @property
    def place(self) -> str:
        """`/install/custom/netboot/debian/compute.pkglist, line 3`."""
        return f"{self.file}, line {self.number}"

    def wrong(self, what: str) -> DefinitionError:
        """The error that names the line."""
        return DefinitionError(f"{self.place}: {what}")


def read_lines(file: str, read: Reader, variables: Mapping[str, str]) -> Iterator[Line]:
    """The lines of a file and of what it includes, in their order.

    A path to include may be relative to the file that names it, and hold `$NAME` of `variables`. Raises
    DefinitionError for a file that cannot be read, a loop, and a directive without its last `#`.
    """
    yield from _lines(posixpath.normpath(file), read, variables, (), None)


def flattened(files: Iterable[str], read: Reader, variables: Mapping[str, str]) -> str:
    """One list that says what these files and all that they include say; each file begins a transaction.

    Raises DefinitionError as read_lines does.
    """
    texts = []
    for file in files:
        lines = [line.text for line in read_lines(file, read, variables)]
        texts.append("".join(f"{text}#\n" if text.startswith(DIRECTIVES) else f"{text}\n" for text in lines))
    return "#NEW_INSTALL_LIST#\n".join(texts)


def _lines(
    file: str, read: Reader, variables: Mapping[str, str], above: tuple[str, ...], named: Line | None
) -> Iterator[Line]:
    """`above`: the files that are being read, outermost first; `named`: the line that includes this one."""
    if named and file in above:
        raise named.wrong(f"the files include one another: {' → '.join((*above, file))}")
    for line in _plain(file, _read(file, read, named)):
        if not line.text.startswith(INCLUDE):
            yield line
            continue
        path = _filled(line, line.text.removeprefix(INCLUDE).strip(), variables)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        yield from _lines(target, read, variables, (*above, file), line)


def _read(file: str, read: Reader, named: Line | None) -> str:
    try:
        return read(file)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        said = f"{file} cannot be read: {why}"
        raise (named.wrong(said) if named else DefinitionError(said)) from error


def _plain(file: str, text: str) -> Iterator[Line]:
    """Lines without comments, blanks around them, and the `#` that ends a directive."""
    for number, raw in enumerate(text.split("\n"), 1):
        line = Line(raw.strip(), file, number)
        if line.text.startswith(DIRECTIVES):
            body, hash_, rest = line.text[1:].partition("#")
            if not hash_:
                raise line.wrong(f"{line.text[:80]} must end with #")
            if rest.strip() and not rest.lstrip().startswith("#"):
                raise line.wrong(f"nothing may follow the last # of {line.text[:80]}")
            yield Line(f"#{body}", file, number)
        elif line.text and not line.text.startswith("#"):
            yield Line(re.split(r"\s#", line.text)[0].rstrip(), file, number)


def _filled(line: Line, path: str, variables: Mapping[str, str]) -> str:
    """A path with its variables replaced."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in variables:
            raise line.wrong(f"${name} is not known; known are {', '.join(sorted(variables)) or 'none'}")
        return variables[name]

    if not path:
        raise line.wrong("#INCLUDE:# names no file")
    return VARIABLE.sub(value, path)
