"""A cluster of plain dictionaries for noderanges: tables as xCAT dumps them, rows of nodes and of groups."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from core import regexattr, selection

ATTRIBUTES = {"os": ("nodetype", "os"), "arch": ("nodetype", "arch"), "mgt": ("nodehm", "mgt")}
# Columns a table has although no row of the example sets them.
COLUMNS = {"nodelist": {"node", "groups", "status"}, "nodehm": {"mgt", "power"}, "nodetype": {"os", "arch"}}


class DictSource:
    """`core.nodesource.NodeSource` over `{table: [row, …]}`."""

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, str]]], excluded: str = "") -> None:
        self._tables = tables
        self._excluded = excluded

    @cached_property
    def _nodes(self) -> dict[str, list[str]]:
        return {row["node"]: row["groups"].split(",") for row in self._tables["nodelist"]}

    def nodes(self) -> Mapping[str, Sequence[str]]:
        return self._nodes

    def group(self, name: str) -> Sequence[str] | None:
        rows = [row for row in self._tables.get("nodegroup", []) if row["groupname"] == name]
        if rows and rows[0]["grouptype"] == "dynamic":
            return self._selected(rows[0]["wherevals"])
        members = [node for node, groups in self._nodes.items() if name in groups]
        return members if members or rows else None

    def _selected(self, wherevals: str) -> list[str]:
        found = list(self._nodes)
        for criterion in selection.parse_all(wherevals):
            values = self.values(*ATTRIBUTES[criterion.name]) or {}
            found = [node for node in found if selection.matches(criterion, values.get(node))]
        return found

    def values(self, table: str, column: str) -> Mapping[str, str] | None:
        rows = {row["node"]: row for row in self._tables.get(table, []) if "node" in row}
        if not any(column in row for row in rows.values()) and column not in COLUMNS.get(table, ()):
            return None
        found: dict[str, Any] = {}
        for node, groups in self._nodes.items():
            for key in [node, *groups] if table != "nodelist" else [node]:
                if rows.get(key, {}).get(column):
                    found[node] = regexattr.apply(rows[key][column], node)
                    break
        return found

    def excluded(self) -> str:
        return self._excluded
