"""What a bundle of imgexport holds, as its first file `manifest.json` says. An import trusts nothing in it.

Files are `image/…` (what nodes boot), `lists/…` (what genimage reads), `scripts/…` (postinstall) and
`extra/…` (others below installdir).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import DefinitionError
from core.images.sources import Kind
from core.nodeset.files import ENDS
from core.nodeset.images import PLAIN

NAME = "manifest.json"
EDITION = 1
#: A manifest, with the versions of all packages, is far smaller.
MOST_BYTES = 4 << 20
MOST_FILES = 10_000
ROOTS = frozenset(f"rootimg.{end}" for end in ENDS)
BOOT = ("kernel", "initrd-stateless.gz")
LISTS = ("pkglist", "otherpkglist", "exlist")
#: Attributes that mean the same at every site. The others name what only the site of the export has.
PORTABLE = (
    "osvers", "osarch", "profile", "provmethod", "imagetype", "osname", "osdistroname", "description",
    "rootfstype", "nodebootif", "netdrivers", "kernelver", "addkcmdline",
)  # fmt: skip
WORD = r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,199}"
MEMBER = re.compile(
    rf"image/({'|'.join(map(re.escape, (*BOOT, *sorted(ROOTS))))})|lists/({'|'.join(LISTS)})"
    rf"|scripts/{WORD}|extra(/{WORD}){{1,30}}"
)
#: Where genimage finds lists and scripts by itself, and images lie.
CLOSED = ("extra/custom/", "extra/netboot/")
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle."""

    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it."""

    #: Of the osimage.
    name: str
    attributes: Mapping[str, str]
    files: Mapping[str, Part]
    packages: Mapping[str, str] = field(default_factory=dict)
    #: `postscripts` and `postbootscripts` of a node, when they were asked for.
    postscripts: Mapping[str, str] = field(default_factory=dict)
    built: float = 0.0
    packed: float = 0.0
    edition: int = EDITION

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(part.size for part in self.files.values())

    @property
    def root(self) -> str:
        """The name of the packed image."""
        return next(name for member in self.files if (name := member.removeprefix("image/")) in ROOTS)

    def below(self, folder: str) -> dict[str, str]:
        """Member → its name in one of the four folders."""
        top = f"{folder}/"
        return {member: member.removeprefix(top) for member in self.files if member.startswith(top)}

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


def from_text(text: str | bytes) -> Manifest:
    """The manifest of a bundle that may come from anywhere. Raises DefinitionError."""
    try:
        told = json.loads(text)
        if told["edition"] != EDITION:
            raise DefinitionError("the bundle was made by another release of Serval, whose form is not known")
        files = {str(name): Part(**part) for name, part in told["files"].items()}
        made = Manifest(**{**told, "files": files})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DefinitionError(f"the bundle's manifest cannot be read: {type(error).__name__}") from error
    _check_files(made)
    _check_values(made)
    return made


def _check_files(made: Manifest) -> None:
    if len(made.files) > MOST_FILES:
        raise DefinitionError(f"the bundle names {len(made.files)} files; {MOST_FILES} are allowed")
    for name, part in made.files.items():
        if not MEMBER.fullmatch(name):
            raise DefinitionError(
                f"the bundle holds a file of the name {name[:200]!r}, which is none of ours"
            )
        if name.startswith(CLOSED):
            raise DefinitionError(f"{name} would change other images; extra files go elsewhere")
        if type(part.size) is not int or part.size < 0 or not _is_text(part.sha256, HASH):
            raise DefinitionError(f"the bundle does not say how large {name} is")
    roots = [member for member in made.files if member.removeprefix("image/") in ROOTS]
    if len(roots) != 1 or not all(f"image/{name}" in made.files for name in BOOT):
        raise DefinitionError(f"the bundle lacks a whole image: {', '.join(BOOT)} and one packed rootimg")


def _check_values(made: Manifest) -> None:
    for told in (made.attributes, made.packages, made.postscripts):
        if not isinstance(told, dict) or not all(map(_is_plain, (*told, *told.values()))):
            raise DefinitionError("the bundle's manifest has values that are no printable texts")
    if not _is_text(made.name, PLAIN):
        raise DefinitionError(f"{str(made.name)[:80]!r} is no name of an osimage")
    if not all(isinstance(moment, int | float) for moment in (made.built, made.packed)):
        raise DefinitionError("the bundle's manifest has a time that is none")
    Kind(*(made.attributes.get(name, "") for name in ("osvers", "osarch", "profile")))


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) < 10_000


def _is_text(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
