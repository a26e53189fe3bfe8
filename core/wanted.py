"""Desired state as the service nodes get it: documents by kind and name, each with a revision (DESIGN 6).

A command writes what should be; each service node makes its disk and daemons match what changed since the
revision that it has. Equal documents are not written again, so a command that changes nothing costs nobody
anything.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Kind(StrEnum):
    """What a document is about."""

    #: core.bootdoc, by node.
    BOOT = "boot"
    #: core.dhcpdoc, by node.
    DHCP = "dhcp"
    #: Anything that services read on the whole: `networks`, `names`, `consoles` … by that word.
    SERVICE = "service"
    #: core.autoinst.document, by node. After BOOT: a node without answers boots something else by then.
    AUTOINST = "autoinst"
    #: core.imagedoc, by osimage: the only kind that takes long, so it has jobs of its own.
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Change:
    """One name with what should be for it; None: this service node has nothing (more) to do with it."""

    name: str
    document: str | None


class Keeper(Protocol):
    """Keeps one kind of desired state on this host. Lives in drivers; knows files and daemons only."""

    def revision(self) -> int:
        """The revision that this host's files are at; 0 when nothing is there, so that all is written."""

    def behind(self, names: Collection[str]) -> Sequence[str]:
        """Names whose document is needed once more, though it is not new.

        Those whose last document could not be put into effect, and of `names` those of which somebody else
        has changed what is here.
        """

    def apply(self, changes: Sequence[Change], revision: int) -> dict[str, str]:
        """Put the changes into effect at once, note `revision`; name → sentence of those that failed.

        Changes may hold names that are in effect already: nothing is written for them. What is written
        becomes visible whole. Raises RequestError or UnavailableError when nothing could be done at all.
        """


@runtime_checkable
class Inspected(Protocol):
    """A keeper that can say how it stands without changing anything."""

    def drift(self, documents: Mapping[str, str]) -> dict[str, str]:
        """Name → sentence for those that are not on this host what their documents say."""

    def digest(self, nodes: Sequence[str]) -> dict[str, str]:
        """Name → checksum of what is on this host; empty for what is not there."""
