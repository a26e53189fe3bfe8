"""Writing what should be, once; and reading what of it a service node does not have yet (DESIGN section 6).

Revisions grow with every change, and whoever writes holds `one_writer`, so what is visible up to a revision
is all there will ever be up to it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sqlalchemy import Column, ColumnElement, Connection, case, func, null, or_, select

from core.wanted import Change
from db.bulk import among, bulk_insert
from db.lookup import enabled
from db.tables import nodelist
from db.wantedtables import kept, wanted

#: Up to here names are asked for one by one; above, the whole kind is read.
FEW = 1_000
#: What is wanted of one name: the service nodes that shall have it, and the document.
Entry = tuple[Sequence[str], str]


@dataclass(frozen=True, slots=True)
class Put:
    """What a `put` changed, and the newest revision of that kind."""

    changed: frozenset[str]
    revision: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a service node has; `problems` are names it could not do, with a sentence each."""

    revision: int
    problems: Mapping[str, str] = field(default_factory=dict)


def put(connection: Connection, kind: str, entries: Mapping[str, Entry]) -> Put:
    """Write what differs from what is there. The caller's transaction has called `one_writer`.

    Without members a document is gone: every service node that has it removes it.
    """
    newest = last(connection, kind)
    known = _known(connection, kind, entries)
    changed: list[dict[str, str]] = []
    for name, (members, document) in entries.items():
        old_members, holders, old_document = known.get(name, (",", ",", ""))
        joined = _joined(tuple(members))
        if (joined, document) != (old_members, old_document):
            everybody = _joined(tuple(dict.fromkeys((*_split(holders), *members))))
            changed.append({"name": name, "members": joined, "holders": everybody, "document": document})
    if not changed:
        return Put(frozenset(), newest)
    shared = {"kind": kind, "revision": newest + 1}
    bulk_insert(connection, wanted, changed, replace_on=("kind", "name"), shared=shared)
    return Put(frozenset(row["name"] for row in changed), newest + 1)


def remove(connection: Connection, kind: str, names: Collection[str]) -> Put:
    """The documents of these names are gone, where there are any. The caller has called `one_writer`."""
    known = _known(connection, kind, names)
    return put(connection, kind, dict.fromkeys(known, ((), "")))


def documents(connection: Connection, kind: str, names: Iterable[str]) -> dict[str, str]:
    """What is wanted of these names, those with a document only."""
    return {name: row[2] for name, row in _known(connection, kind, names).items() if row[2]}


def members_of(connection: Connection, kind: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The service nodes that shall have the documents of these names."""
    return {name: _split(row[0]) for name, row in _known(connection, kind, names).items()}


def names(connection: Connection, kind: str) -> list[str]:
    """Every name with a document, sorted."""
    there = select(wanted.c.name).where(wanted.c.kind == kind, wanted.c.document != "")
    return list(connection.scalars(there.order_by(wanted.c.name)))


def strangers(connection: Connection, kind: str) -> list[str]:
    """Every name with a document that is no node, of a kind whose documents are by node."""
    # Not `exists`, for which PostgreSQL reads all nodes once for each name while it has no statistics.
    nodes = select(nodelist.c.node).where(enabled(nodelist))
    there = select(wanted.c.name).where(wanted.c.kind == kind, wanted.c.document != "")
    return list(connection.scalars(there.where(wanted.c.name.not_in(nodes)).order_by(wanted.c.name)))


def last(connection: Connection, kind: str) -> int:
    """The newest revision of a kind; 0 when there never was a document."""
    return connection.scalar(select(func.max(wanted.c.revision)).where(wanted.c.kind == kind)) or 0


def changes(
    connection: Connection, kind: str, aliases: Collection[str], since: int, again: Collection[str] = ()
) -> list[Change]:
    """What is newer than `since`, and these names again, ordered by name.

    Only what concerns the service node that pools call by one of `aliases`.
    """
    mine = _lists(wanted.c.members, aliases)
    columns = (wanted.c.name, case((mine, wanted.c.document), else_=null()).label("document"))
    query = select(*columns).where(wanted.c.kind == kind, _lists(wanted.c.holders, aliases))
    found = {row.name: row.document for row in connection.execute(query.where(wanted.c.revision > since))}
    if missed := set(again) - found.keys():
        rows = connection.execute(query.where(among(connection, wanted.c.name, missed)))
        found |= {row.name: row.document for row in rows}
    return [Change(name, found[name] or None) for name in sorted(found)]


def lacks(connection: Connection, kind: str, aliases: Collection[str], since: int) -> bool:
    """Whether any change newer than `since` concerns the service node of these names."""
    query = select(wanted.c.name).where(wanted.c.kind == kind, wanted.c.revision > since)
    return connection.scalars(query.where(_lists(wanted.c.holders, aliases)).limit(1)).first() is not None


def keep(connection: Connection, kind: str, sn: str, now: float, had: Kept) -> None:
    """Note what a service node has."""
    row = {"kind": kind, "sn": sn, "revision": had.revision, "problems": json.dumps(dict(had.problems))}
    bulk_insert(connection, kept, [row | {"at": now}], replace_on=("kind", "sn"))


def have(connection: Connection, kind: str) -> dict[str, Kept]:
    """What every service node has of a kind."""
    rows = connection.execute(select(kept).where(kept.c.kind == kind))
    return {row.sn: Kept(row.revision, _problems(row.problems)) for row in rows}


def is_sentences(told: object) -> bool:
    """Whether it maps names to sentences."""
    return isinstance(told, dict) and all(isinstance(word, str) for pair in told.items() for word in pair)


def _problems(text: str) -> dict[str, str]:
    """What a service node wrote down; nothing when that is no such thing."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if is_sentences(told) else {}


def _known(connection: Connection, kind: str, names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Members, holders and document of names."""
    asked = set(names)
    columns = (wanted.c.name, wanted.c.members, wanted.c.holders, wanted.c.document)
    query = select(*columns).where(wanted.c.kind == kind)
    if len(asked) <= FEW:
        query = query.where(among(connection, wanted.c.name, asked))
    rows = connection.execute(query).all()
    return {name: (members, holders, text) for name, members, holders, text in rows if name in asked}


def _lists(column: Column[str], names: Collection[str]) -> ColumnElement[bool]:
    """Whether a text `,sn1,sn2,` holds one of these names."""
    return or_(*(column.contains(f",{name},", autoescape=True) for name in names))


# Thousands of nodes have one pool.
@lru_cache(maxsize=256)
def _joined(names: tuple[str, ...]) -> str:
    return "," + "".join(f"{name}," for name in names)


@lru_cache(maxsize=256)
def _split(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
