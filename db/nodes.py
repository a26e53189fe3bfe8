"""The cluster in the database as a noderange sees it (core.nodesource.NodeSource), cached for one command."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from sqlalchemy import Connection, select

from core import selection
from core.errors import DefinitionError
from db import lookup
from db.attributes import columns_of, value_of
from db.lookup import Values, effective, split_list
from db.tables import TABLES, is_of_nodes, nodegroup, nodelist


class DatabaseNodes:
    """A NodeSource on one connection; what it read once it does not read again.

    Raises DefinitionError for a dynamic group whose selection cannot be read.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._values: dict[str, dict[str, str]] = {}

    def forget(self) -> None:
        """Read anew from now on: this connection has written."""
        self._values.clear()
        for name in ("site", "_nodes", "_members", "_groups"):
            self.__dict__.pop(name, None)

    def nodes(self) -> Mapping[str, Sequence[str]]:
        """Every node with its groups, in the order written in nodelist.groups."""
        return self._nodes

    def group(self, name: str) -> Sequence[str] | None:
        """The nodes of a static or dynamic group, with those of its membergroups; None: no such group."""
        return self._group(name, frozenset())

    def group_names(self) -> set[str]:
        """Every group: those that nodes carry, and those in the nodegroup table."""
        return {*self._members, *self._groups}

    def membergroups(self) -> dict[str, list[str]]:
        """The groups that each group holds, of those that hold some."""
        said = ((name, split_list(values.get("membergroups"))) for name, values in self._groups.items())
        return {name: held for name, held in said if held}

    def values(self, table: str, column: str) -> Mapping[str, str] | None:
        """The effective value of every node that has one; None: no such table or column of nodes."""
        if not is_of_nodes(table) or column not in TABLES[table].c:
            return None
        key = f"{table}.{column}"
        if key not in self._values:
            found = effective(self.connection, {table: [column]}, unreadable={})
            self._values[key] = {node: values[key] for node, values in found.items() if key in values}
        return self._values[key]

    def excluded(self) -> str:
        """The noderange in site.excludenodes."""
        return self.site.get("excludenodes", "")

    @cached_property
    def site(self) -> dict[str, str]:
        """The site table."""
        return lookup.site_values(self.connection)

    @cached_property
    def _nodes(self) -> dict[str, list[str]]:
        rows = self.connection.execute(
            select(nodelist.c.node, nodelist.c.groups).where(lookup.enabled(nodelist))
        )
        return {node: split_list(groups) for node, groups in rows}

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for node, groups in self._nodes.items():
            for group in dict.fromkeys(groups):
                members.setdefault(group, []).append(node)
        return members

    @cached_property
    def _groups(self) -> dict[str, Values]:
        columns = ("grouptype", "membergroups", "wherevals")
        rows = self.connection.execute(
            select(nodegroup.c.groupname, *(nodegroup.c[name] for name in columns)).where(
                lookup.enabled(nodegroup)
            )
        )
        return {
            name: {column: value for column, value in zip(columns, values, strict=True) if value}
            for name, *values in rows
        }

    def _group(self, name: str, above: frozenset[str]) -> list[str] | None:
        if name not in self._groups and name not in self._members:
            return None
        said = self._groups.get(name, {})
        members = list(self._members.get(name, ()))
        if said.get("grouptype") == "dynamic":
            members = self._selected(name, said.get("wherevals", ""))
        above = above | {name}
        for other in split_list(said.get("membergroups")):
            if other not in above:
                members += self._group(other, above) or []
        return list(dict.fromkeys(members))

    def _selected(self, group: str, wherevals: str) -> list[str]:
        """The nodes of a dynamic group; without a selection none."""
        try:
            criteria = selection.parse_all(wherevals)
        except DefinitionError as error:
            raise DefinitionError(f"The wherevals of group '{group}': {error.message}") from error
        if not criteria:
            return []
        return self.select(criteria)

    def select(self, criteria: Sequence[selection.Criterion]) -> list[str]:
        """The nodes whose attributes (`os`) or columns (`nodetype.os`) meet every criterion."""
        wanted = {"nodelist": [], **columns_of(one.name for one in criteria)}
        found = effective(self.connection, wanted, unreadable={})
        return [
            node
            for node, values in found.items()
            if all(selection.matches(one, value_of(one.name, values)) for one in criteria)
        ]
