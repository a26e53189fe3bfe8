"""Membership of groups, which xCAT keeps in nodelist.groups of every node."""

from collections.abc import Callable, Collection, Mapping

from sqlalchemy import Connection, select

from db.bulk import bulk_update
from db.lookup import split_list
from db.tables import nodelist


def set_members(
    connection: Connection, members: Mapping[str, Collection[str]], adding: bool, replacing: bool
) -> None:
    """Add groups to the nodes named, or take them away from these; `replacing` takes them from all others."""
    wanted = {group: set(nodes) for group, nodes in members.items()}

    def change(node: str, groups: list[str]) -> list[str]:
        for group, nodes in wanted.items():
            if node in nodes and adding:
                groups = groups if group in groups else [*groups, group]
            elif node in nodes or replacing:
                groups = [one for one in groups if one != group]
        return groups

    _rewrite(connection, change)


def drop_groups(connection: Connection, names: Collection[str]) -> None:
    """Take groups away from every node."""
    gone = set(names)
    _rewrite(connection, lambda _node, groups: [group for group in groups if group not in gone])


def rename_group(connection: Connection, old: str, new: str) -> None:
    """Give a group another name in every node's list."""
    _rewrite(connection, lambda _node, groups: [new if group == old else group for group in groups])


def _rewrite(connection: Connection, change: Callable[[str, list[str]], list[str]]) -> None:
    rows = connection.execute(select(nodelist.c.node, nodelist.c.groups)).all()
    changed = []
    for node, text in rows:
        before = split_list(text)
        after = change(node, list(before))
        if after != before:
            changed.append((node, ",".join(after) or None))
    bulk_update(connection, nodelist, ["node"], ["groups"], changed)
