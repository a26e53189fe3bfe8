"""An osimage as service nodes copy it: its files with their sizes and hashes, and how far each copy is.

The document is what `wanted` holds of Kind.IMAGE (docs/adr/0015). It names no server: a service node asks the
management node, and after it whoever has the same version.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.errors import RequestError
from core.nodeset.files import INSTALL

#: A name without a folder, and a path below installdir as it is served.
_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_HASH = re.compile(r"[0-9a-f]{64}")
#: What people read of a version.
SHORT = 12


class Form(StrEnum):
    """What the files of a document become on a service node."""

    #: Nodes load them as they are.
    FILES = "files"
    #: The only one lists an installation tree (core.images.medialist), which is brought by it.
    MEDIA = "media"
    #: The last one is an archive of the tree that nodes have for their root over NFS.
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file: `name` below the image's folder, bytes, SHA-256."""

    name: str
    size: int
    sha256: str
    #: When the management node's file changed last: as long as it is this, nobody has to hash it again.
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class ImageDoc:
    """The files that nodes boot of one osimage, in the order in which they are put into service.

    An installation tree is one for all osimages that install from it: its name is its folder.
    """

    image: str
    #: As it is served: `install/netboot/debian12/x86_64/compute`.
    folder: str
    files: tuple[ImageFile, ...]
    #: When somebody asked again after service nodes had failed.
    asked: float = 0.0
    form: Form = Form.FILES
    #: Bytes of what the list of an installation tree names.
    listed: int = 0

    @property
    def title(self) -> str:
        """What people read."""
        return f"the media {self.image}" if self.form is Form.MEDIA else f"osimage {self.image}"

    @property
    def version(self) -> str:
        """What tells this image from every other state of it."""
        lines = sorted(f"{self.folder}/{file.name} {file.size} {file.sha256}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(file.size for file in self.files) + self.listed

    def to_text(self) -> str:
        """As JSON, the same for equal documents."""
        return json.dumps(asdict(self))


def from_text(text: str) -> ImageDoc:
    """The document that `to_text` wrote. Raises RequestError when it is none, or leads out of installdir."""
    try:
        told = json.loads(text)
        files = tuple(ImageFile(**file) for file in told["files"])
        form, listed = Form(told.get("form", Form.FILES)), int(told.get("listed", 0))
        doc = ImageDoc(told["image"], told["folder"], files, float(told["asked"]), form, listed)
        _check(doc)
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"the document of an image cannot be read: {error}") from error
    return doc


def _check(doc: ImageDoc) -> None:
    top, *folders = doc.folder.split("/")
    if top != INSTALL or not folders or not all(map(_NAME.fullmatch, folders)):
        raise ValueError(f"folder {doc.folder[:80]!r}")
    for file in doc.files:
        if not (_NAME.fullmatch(file.name) and _HASH.fullmatch(file.sha256) and file.size >= 0):
            raise ValueError(f"file {file.name[:80]!r}")


class Stand(StrEnum):
    """How a service node's copy stands to what is wanted."""

    CURRENT = "current"
    FETCHING = "fetching"
    FAILED = "failed"
    #: It has another version, and has not begun with this one.
    BEHIND = "behind"
    #: It has none, and has not begun.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Copy:
    """What a service node says of its copy of an image."""

    image: str
    sn: str
    #: The version that it serves, its bytes and since when; empty: none.
    version: str = ""
    size: int = 0
    since: float = 0.0
    #: The version that it fetches, how far it is, or why it could not.
    coming: str = ""
    percent: int = 0
    problem: str = ""
    at: float = 0.0

    def stand(self, wanted: str) -> Stand:
        """How it stands to the version that is wanted."""
        if self.version == wanted:
            return Stand.CURRENT
        if self.coming == wanted:
            return Stand.FAILED if self.problem else Stand.FETCHING
        return Stand.BEHIND if self.version else Stand.NONE

    def brief(self, wanted: str) -> str:
        """`fetching 43 %`, `failed: no space is left`."""
        stand = self.stand(wanted)
        if stand is Stand.FETCHING:
            return f"{stand} {self.percent} %"
        return f"{stand}: {self.problem}" if stand is Stand.FAILED else str(stand)


def failed(members: Collection[str], copies: Mapping[str, Copy], doc: ImageDoc) -> list[str]:
    """Which of these members have failed since somebody asked last."""
    return [
        name
        for name in members
        if (one := copies.get(name)) and one.stand(doc.version) is Stand.FAILED and one.at > doc.asked
    ]
