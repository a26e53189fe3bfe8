"""What nodeset leaves in xCAT's tables: chain, nodetype and nodelist.status. Only what differs is written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from db import nodestatus
from db.bulk import chunks
from db.engine import Connection
from db.lookup import Values, effective, own_rows
from db.upserts import Rows, upsert

COLUMNS = {"chain": ["currstate", "currchain"], "nodetype": ["os", "arch", "profile", "provmethod"]}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the tables shall say of a node: `table.column` to value; nodelist.status, empty: as it is."""

    values: Mapping[str, str] = field(default_factory=dict)
    status: str = ""

    def news(self, holds: Values) -> list[str]:
        """The keys whose values are not what holds."""
        return [key for key, value in self.values.items() if value != holds.get(key, "")]


def write(
    connection: Connection, asked: Mapping[str, Outlook], changed: Collection[str], now: float
) -> set[str]:
    """Write what differs from what holds; the nodes for which something was written.

    The status is written for these and for those `changed` otherwise. The caller has called `one_writer`.
    """
    there = effective(connection, {**COLUMNS, "nodelist": ["status"]}, asked, unreadable={})
    differing = {node: keys for node, outlook in asked.items() if (keys := outlook.news(there.get(node, {})))}
    taken = [node for node, keys in differing.items() if not all(map(asked[node].values.get, keys))]
    own = own_rows(connection, COLUMNS, taken) if taken else {}
    rows: Rows = {}
    touched: set[str] = set()
    for node, keys in differing.items():
        for key in keys:
            value = asked[node].values[key]
            # What a group says cannot be taken away from a node, only changed.
            if value or key in own.get(node, {}):
                _set(rows, node, key, value)
                touched.add(node)
    statuses = {
        node: status
        for node in touched | (asked.keys() & changed)
        if (status := asked[node].status) not in ("", there.get(node, {}).get("nodelist.status"))
    }
    upsert(connection, rows)
    for part in chunks((node,) for node in sorted(statuses)):
        nodestatus.write(connection, {node: statuses[node] for (node,) in part}, now)
    return touched


def _set(rows: Rows, node: str, key: str, value: str) -> None:
    table, _, column = key.partition(".")
    rows.setdefault(table, {}).setdefault(node, {})[column] = value


def current_chains(connection: Connection, nodes: Collection[str]) -> dict[str, str]:
    """chain.currchain of the nodes that have one: what they do after what they do now."""
    found = effective(connection, {"chain": ["currchain"]}, nodes, unreadable={})
    return {node: text for node, values in found.items() if (text := values.get("chain.currchain"))}
