"""Exclude lists: what packimage leaves out of an image (xCAT's exlist).

A line is a shell pattern of paths in the image: `./usr/share/doc*` (or with `-` before) is left out,
`+./usr/share/doc/keep` stays nevertheless. As with find -path, `*` stands for slashes too.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.images.lists import Reader, read_lines

NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Excludes:
    """The patterns of an exclude list, each beginning with `./`."""

    out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def kept(self, paths: Iterable[str]) -> Iterator[str]:
        """Those of the paths (`./etc`, a folder before what is in it) that stay, in their order.

        The folders of what stays nevertheless stay too.
        """
        out, keep = _one_of(self.out), _one_of(self.keep)
        left_out: list[str] = []
        for path in paths:
            while left_out and not path.startswith(f"{left_out[-1]}/"):
                left_out.pop()
            if not out.fullmatch(path) or keep.fullmatch(path):
                yield from left_out
                left_out.clear()
                yield path
            elif self.keep:
                left_out.append(path)


def read_exlist(files: Iterable[str], read: Reader, variables: Mapping[str, str]) -> Excludes:
    """The exclude list of these files. Raises DefinitionError, naming file and line."""
    out: list[str] = []
    keep: list[str] = []
    for file in files:
        for line in read_lines(file, read, variables):
            sign = line.text[0] if line.text[0] in "+-" else ""
            pattern = line.text.removeprefix(sign).strip()
            if pattern.startswith("/"):
                pattern = f".{pattern}"
            if not pattern.startswith("./") or len(pattern) < 3 or not pattern.isprintable():
                raise line.wrong(f"{line.text[:80]!r} is no pattern of paths such as ./usr/share/doc*")
            (keep if sign == "+" else out).append(pattern)
    return Excludes(tuple(out), tuple(keep))


def _one_of(patterns: Iterable[str]) -> re.Pattern[str]:
    found = [fnmatch.translate(pattern) for pattern in patterns]
    return re.compile("|".join(found)) if found else NOTHING
