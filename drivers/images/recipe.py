"""What an image is made of, and what a distribution can do. Values only: whoever asks has read the tables."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from core.images.pkglist import Transaction
from core.images.sources import Kind
from drivers.images.jail import Jail
from drivers.images.worker import Worker


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what genimage makes."""

    name: str
    kind: Kind
    packages: tuple[Transaction, ...]
    others: tuple[Transaction, ...] = ()
    #: Folders of packages on this host, and `URL SUITE COMPONENT…`; empty: the distribution's own mirrors.
    sources: tuple[str, ...] = ()
    otherpkgdir: Path = Path("/nonexistent")
    #: The site's public keys, which packages of mirrors must be signed with; none: they are not checked.
    keys: tuple[Path, ...] = ()
    #: Scripts with their arguments, run on this host.
    scripts: tuple[tuple[str, ...], ...] = ()
    #: The interface that the node boots over; empty: whichever gets an address.
    interface: str = ""
    drivers: tuple[str, ...] = ()
    kernel: str = ""
    #: How much memory the root may take, as mount(8) writes it; empty: the usual part of it.
    rootlimit: str = ""
    #: What scripts find in their environment.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Files of ours that go into the image: path in the image → text. Scripts (#!) are executable.
    files: Mapping[str, str] = field(default_factory=dict)
    #: Of a service node's image.
    worker: Worker | None = None

    def digest(self, *parts: str) -> str:
        """A hash of all of it, and of what the scripts say; where a line stands does not count."""
        told = asdict(self)
        for block in (*told["packages"], *told["others"]):
            for entry in (*block["before"], *block["install"], *block["after"]):
                del entry["place"]
        said = [Path(script[0]).read_bytes().hex() for script in self.scripts]
        text = json.dumps([told, said, parts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Cause:
    """What a package manager complains of: a package of the lists, a mirror …"""

    package: str = ""
    sentence: str = ""


class Distribution(Protocol):
    """What differs between distributions. Every method may raise jail.Failed."""

    def begin(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """Make the smallest system that can boot over the network, with a kernel if the lists name none."""

    def install(self, jail: Jail, recipe: Recipe, root: Path, block: Transaction, *, other: bool) -> None:
        """Carry one transaction out."""

    def refresh(self, jail: Jail, recipe: Recipe, root: Path, gone: Sequence[str], *, newest: bool) -> None:
        """Make a finished tree ready to be changed, brought to the newest versions if asked.

        What is `gone` from the lists stays only if something needs it.
        """

    def tidy(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """Remove the packages that nothing needs any more."""

    def initrd(self, jail: Jail, recipe: Recipe, root: Path) -> tuple[Path, Path]:
        """Make the initial RAM disk with dracut; kernel and RAM disk, below the root."""

    def installed(self, root: Path) -> dict[str, str]:
        """Every package of the image with its version."""

    def finish(self, jail: Jail, root: Path) -> None:
        """Take out what only the build needed."""

    def cause(self, said: str) -> Cause:
        """What the output of a failed program means."""


def folders(sources: Sequence[str]) -> list[Path]:
    """The sources that are folders of this host."""
    return [Path(source) for source in sources if source.startswith("/")]
