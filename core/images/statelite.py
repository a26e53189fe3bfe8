"""What a statelite node has over its read-only root: the rules of litefile, litetree and statelite (xCAT's
litefile(5), litetree(5), statelite(5)).

Rows are hostile until they are read here. What comes out is a list for the image, one entry a line, which the
initial RAM disk reads with `read`; it names no server: the node fills in who it boots from.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from core.errors import DefinitionError

Row = Mapping[str, str]

#: An image column that means every image.
EVERY = ("", "ALL")
#: One word for the shell's `read`, and nothing in it that a shell or kernel argument reads as its own.
PATH = re.compile(r"/[A-Za-z0-9_.,:@%+=~/-]*")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
OPTIONS = re.compile(r"[A-Za-z0-9_.,:@%+=~-]*")
VARIABLE = re.compile(r"\$([A-Za-z_]+(?:\.[A-Za-z_]+)?)|#")


class Kind(StrEnum):
    """Where what a node writes to a path goes, or where a path comes from."""

    TMPFS = "tmpfs"
    PERSISTENT = "persistent"
    LOCALDISK = "localdisk"
    CON = "con"
    RO = "ro"


#: The words of litefile.options in any order → kind, and whether the path is a link in the image.
MEANINGS: Mapping[frozenset[str], tuple[Kind, bool]] = {
    frozenset(words.split(",")): meaning
    for words, meaning in {
        "": (Kind.TMPFS, False),
        "tmpfs": (Kind.TMPFS, False),
        "rw": (Kind.TMPFS, False),
        "tmpfs,rw": (Kind.TMPFS, False),
        "link": (Kind.TMPFS, True),
        "link,tmpfs": (Kind.TMPFS, True),
        "link,ro": (Kind.TMPFS, True),
        "con": (Kind.CON, False),
        "link,con": (Kind.CON, True),
        "ro": (Kind.RO, False),
        "persistent": (Kind.PERSISTENT, False),
        "persistent,rw": (Kind.PERSISTENT, False),
        "link,persistent": (Kind.PERSISTENT, True),
        "localdisk": (Kind.LOCALDISK, False),
        "localdisk,rw": (Kind.LOCALDISK, False),
        "link,localdisk": (Kind.LOCALDISK, True),
    }.items()
}
#: What the kernel and the image's start need before anything is mounted over the root, or is ours.
FORBIDDEN = ("/", "/.default", "/.statelite", "/dev", "/proc", "/run", "/sys")


def in_memory(osimage: str, rootfstype: str) -> bool:
    """Whether nodes have the root in memory, or over NFS (linuximage.rootfstype). Raises DefinitionError."""
    if rootfstype not in ("", "nfs", "ramdisk"):
        mend = f"chdef -t osimage {osimage} rootfstype=nfs|ramdisk"
        raise DefinitionError(f"osimage {osimage}: rootfstype is {rootfstype[:80]!r}: {mend}")
    return rootfstype == "ramdisk"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of litefile; `path` has no slash at its end."""

    path: str
    kind: Kind = Kind.TMPFS
    link: bool = False
    folder: bool = False

    def line(self) -> str:
        """`persistent mount /var/lib/x`."""
        return f"{self.kind} {'link' if self.link else 'mount'} {self.path}"


@dataclass(frozen=True, slots=True)
class Tree:
    """One row of litetree: `HOST:/FOLDER` in the node's words, and mount options."""

    place: str
    options: str = "ro"

    def line(self) -> str:
        """`ro,soft {files}:/install/lite/{node}`."""
        return f"{self.options} {self.place}"


@dataclass(frozen=True, slots=True)
class Lite:
    """All of one image: entries by path, trees in the order in which they are searched."""

    entries: tuple[Entry, ...] = ()
    trees: tuple[Tree, ...] = ()

    def files(self) -> dict[str, str]:
        """What the initial RAM disk reads: name below `/.statelite` → text."""
        return {"litefile": _text(self.entries), "litetree": _text(self.trees)}


def read_lite(litefile: Iterable[Row], litetree: Iterable[Row], image: str, groups: Collection[str]) -> Lite:
    """What the rows of both tables mean for an image of these groups (osimage.groups).

    A row for the image itself stands before one for its group, and that before one for ALL. Raises
    DefinitionError, naming the row.
    """
    ranks = {**dict.fromkeys(EVERY, 0), **dict.fromkeys(groups, 1), image: 2}
    rows = [row for row in litefile if row.get("image", "") in ranks]
    chosen: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: ranks[row.get("image", "")]):
        chosen[row.get("file", "").rstrip("/")] = row
    entries = sorted((_entry(row) for row in chosen.values()), key=lambda entry: entry.path)
    _refuse_nested(entries)
    trees = [row for row in litetree if row.get("image", "") in ranks]
    return Lite(tuple(entries), tuple(_tree(row) for row in sorted(trees, key=_priority)))


def lasting(litefile: Iterable[Row]) -> set[str]:
    """The images and groups, or ALL, whose rows keep something over a boot on another host."""
    return {
        "ALL" if row.get("image", "") in EVERY else row["image"]
        for row in litefile
        if Kind.PERSISTENT in row.get("options", "").replace(" ", "").split(",")
    }


def place(text: str, what: str, words: Mapping[str, str]) -> str:
    """`HOST:/FOLDER` of a table with its variables filled in: `$node`, `$noderes.xcatmaster`, and
    `$noderes.nfsserver`, who is meant as well where no host stands before the folder.

    `words` has a value for each of the three. Raises DefinitionError, naming `what`.
    """

    def own(found: re.Match[str]) -> str:
        if found[1] not in words:
            known = " ".join(f"${word}" for word in words)
            raise DefinitionError(f"{what}: {text[:80]!r}: the variables that can stand there are {known}")
        return words[found[1]]

    filled = VARIABLE.sub(own, text)
    host, colon, folder = VARIABLE.sub("x", text).rpartition(":/")
    folder = f"/{folder}" if colon else folder
    if (colon and not HOST.fullmatch(host)) or not PATH.fullmatch(folder) or ".." in folder.split("/"):
        raise DefinitionError(f"{what} is {text[:80]!r}; it is HOST:/FOLDER without blanks and '..'")
    return filled if colon else f"{words['noderes.nfsserver']}:{filled}"


def mount_options(text: str, what: str) -> str:
    """Options for mount(8) as one word. Raises DefinitionError."""
    if not OPTIONS.fullmatch(text):
        raise DefinitionError(f"{what} is {text[:80]!r}; mount options are one word with commas")
    return text


def _text(found: Iterable[Entry | Tree]) -> str:
    return "".join(f"{one.line()}\n" for one in found)


def _entry(row: Row) -> Entry:
    file, options = row.get("file", ""), row.get("options", "")
    what = f"litefile {row.get('image', '') or 'ALL'} {file[:120]!r}"
    if not PATH.fullmatch(file) or {".", ".."} & set(file.split("/")) or "//" in file:
        raise DefinitionError(
            f"{what}: it is an absolute path of letters, digits and _.,:@%+=~- without '..'"
        )
    path = file.rstrip("/")
    if not path or path in FORBIDDEN or any(path.startswith(f"{one}/") for one in FORBIDDEN[1:]):
        raise DefinitionError(f"{what}: a node needs its {path or '/'} as it is")
    meaning = MEANINGS.get(frozenset(options.replace(" ", "").split(",")))
    if meaning is None:
        known = ", ".join(",".join(sorted(words)) for words in MEANINGS if words != {""})
        raise DefinitionError(f"{what}: options is {options[:80]!r}; it is one of: {known}")
    kind, link = meaning
    if kind is Kind.CON and file.endswith("/"):
        raise DefinitionError(f"{what}: con puts files together, not folders")
    return Entry(path, kind, link, folder=file.endswith("/"))


def _refuse_nested(entries: Sequence[Entry]) -> None:
    """Raises DefinitionError for an entry below another one, which would hide it or be hidden."""
    known = {entry.path for entry in entries}
    for entry in entries:
        if above := next((str(one) for one in PurePosixPath(entry.path).parents if str(one) in known), ""):
            raise DefinitionError(
                f"litefile {entry.path!r}: it lies below {above}/, which is an entry of its own: "
                "remove one of the two rows"
            )


def _priority(row: Row) -> tuple[float, str]:
    text = row.get("priority", "")
    try:
        return float(text), text
    except ValueError:
        raise DefinitionError(f"litetree priority {text[:40]!r}: it is a number") from None


def _tree(row: Row) -> Tree:
    what = f"litetree priority {row.get('priority', '')}: "
    words = {"node": "{node}", "noderes.xcatmaster": "{master}", "noderes.nfsserver": "{files}"}
    options = mount_options(row.get("mntopts", ""), f"{what}mntopts")
    return Tree(
        place(row.get("directory", ""), f"{what}directory", words),
        ",".join(dict.fromkeys(["ro", *filter(None, options.split(","))])),
    )
