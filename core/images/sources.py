"""Where the lists of an image are looked for, and how images are named (xCAT's imgutils, copycds)."""

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import DefinitionError
from core.nodeset.images import PLAIN, Image

#: The letters before the version in osvers, where the folder of the distribution is not called so.
FOLDERS = {
    **dict.fromkeys(("rhel", "rhels", "rhelc"), "rh"),
    **dict.fromkeys(("sle", "sled", "leap"), "sles"),
    "centos-stream": "centos",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What decides which lists an image is made of. Raises DefinitionError for what cannot stand in paths."""

    osvers: str
    osarch: str
    profile: str

    def __post_init__(self) -> None:
        for name in ("osvers", "osarch", "profile"):
            value = getattr(self, name)
            if not PLAIN.fullmatch(value):
                said = f"{name} is {value[:80]!r}" if value else f"{name} is not set"
                raise DefinitionError(f"{said}; it is one plain word, such as debian12, x86_64, compute")

    @property
    def base(self) -> str:
        """`rocky9` of rocky9.4."""
        return self.osvers.partition(".")[0]

    @property
    def distribution(self) -> str:
        """The folder of its lists: `debian` of debian12, `rh` of rhels9.4."""
        letters = re.match(r"[A-Za-z-]*", self.osvers)
        word = letters[0].lower() if letters else ""
        return FOLDERS.get(word, word)

    @property
    def folders(self) -> tuple[str, ...]:
        """Where its lists may lie: in its own folder, then in that of the distribution that it is like."""
        redhat = Image("", osvers=self.osvers).family == "redhat"
        return tuple(dict.fromkeys((self.distribution, *(("rh",) if redhat else ()))))

    def image_name(self, method: str = "netboot") -> str:
        """`debian12-x86_64-netboot-compute`."""
        return f"{self.osvers}-{self.osarch}-{method}-{self.profile}"

    def names(self, ending: str) -> Iterator[str]:
        """The names that a list of this ending may have, best first."""
        middles = (
            f".{self.osvers}.{self.osarch}", f".{self.base}.{self.osarch}", f".{self.osarch}",
            f".{self.osvers}", f".{self.base}", "",
        )  # fmt: skip
        yield from dict.fromkeys(f"{self.profile}{middle}.{ending}" for middle in middles)


def find(kind: Kind, ending: str, tops: tuple[str, ...], exists: Callable[[str], bool]) -> str | None:
    """The list of this ending (`pkglist`, `exlist`, `otherpkgs.pkglist`, `postinstall`); None: there is none.

    `tops` are folders with one folder for each distribution: the site's own first, then what is shipped.
    """
    for top in tops:
        for folder in kind.folders:
            for name in kind.names(ending):
                path = posixpath.join(top, folder, name)
                if exists(path):
                    return path
    return None


def listed(value: str, what: str) -> tuple[str, ...]:
    """The files of a comma separated attribute. Raises DefinitionError for one that is not absolute."""
    found = tuple(word.strip() for word in value.split(",") if word.strip())
    for path in found:
        if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
            raise DefinitionError(f"{what}: {path[:200]!r} is no absolute path without '..'")
    return found


def scripts(value: str, what: str) -> tuple[tuple[str, ...], ...]:
    """The scripts of `postinstall`, each with its arguments: `/a/script arg1,/b/script`.

    Raises DefinitionError.
    """
    found = []
    for part in value.split(","):
        try:
            words = tuple(shlex.split(part))
        except ValueError as error:
            raise DefinitionError(f"{what}: {part[:200]!r}: {error}") from error
        if words:
            listed(words[0], what)
            found.append(words)
    return tuple(found)
