"""What a noderange is evaluated against; `db/` implements it, tests use plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class NodeSource(Protocol):
    """The cluster as a noderange sees it. Every method may be asked often; implementations cache."""

    def nodes(self) -> Mapping[str, Sequence[str]]:
        """Every node with its groups, in the order written in nodelist.groups."""

    def group(self, name: str) -> Sequence[str] | None:
        """The nodes of a group (static or dynamic), empty when it has none; None: no such group."""

    def values(self, table: str, column: str) -> Mapping[str, str] | None:
        """The effective value (own row over groups, regex applied) of every node that has one.

        None when the table or column does not exist.
        """

    def excluded(self) -> str:
        """The noderange in site.excludenodes, empty when there is none."""
