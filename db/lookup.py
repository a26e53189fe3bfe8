"""Looking values up as xCAT does: a node's own row, then its groups in the order of nodelist.groups.

Two queries for any number of nodes and tables. Each attribute is found on its own; the first value wins. Rows
with `disable` set do not exist here. A value may end in `+=NEXTRECORD` (the next group's value is appended),
site.hierarchicalattrs joins whole columns over all groups, and regex values are applied with the node's name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from core import regexattr
from core.errors import DefinitionError
from db.bulk import among
from db.tables import TABLES, key_names, nodelist, passwd, site

#: Tables to their columns.
Wanted = Mapping[str, Sequence[str]]
#: `table.column` to a value that is not empty.
Values = dict[str, str]

NEXT_RECORD = "+=NEXTRECORD"
#: Up to here names are asked for one by one; above, whole tables are read.
FEW = 1_000


def enabled(table: Table) -> ColumnElement[bool]:
    """Whether a row is seen by look-ups."""
    disable = table.c.disable
    return or_(disable.is_(None), func.lower(disable).in_(("", "0", "no")))


#: (node, `table.column`) to the sentence that says why its regex value cannot be read.
Unreadable = dict[tuple[str, str], str]


def effective(
    connection: Connection,
    wanted: Wanted,
    nodes: Collection[str] | None = None,
    unreadable: Unreadable | None = None,
) -> dict[str, Values]:
    """What holds for each of the nodes (None: every node), inherited values and regexes applied.

    Nodes are sorted by name; those that do not exist are left out. A regex value that cannot be read stays as
    it is written and is noted in `unreadable`; without that it raises DefinitionError.
    """
    own = {f"nodelist.{column}": nodelist.c[column] for column in wanted.get("nodelist", ())}
    listed = _nodelist(connection, list(own.values()), nodes)
    inherited = {name: columns for name, columns in wanted.items() if name != "nodelist" and columns}
    if inherited:
        names = None if nodes is None or len(nodes) > FEW else _with_groups(listed)
        merger = _Merger(*_read(connection, inherited, names))
    else:
        merger = _Merger({}, {})
    found = {}
    for node, groups, *values in listed:
        merged, rules = merger.values(node, groups or "")
        if own:
            mine = {key: value for key, value in zip(own, values, strict=True) if value}
            merged.update(mine)
            rules = [*rules, *_rules(mine)]
        found[node] = _applied(merged, rules, node, unreadable) if rules else merged
    return found


def holding(
    connection: Connection, wanted: Wanted, unreadable: Unreadable | None = None
) -> dict[str, Values]:
    """As `effective`, of the nodes for which anything holds: for tables that speak of few nodes."""
    owners = own_rows(connection, wanted)
    texts = connection.scalars(select(nodelist.c.groups).where(enabled(nodelist)).distinct())
    concerned = [text for text in texts if not owners.keys().isdisjoint(split_list(text))]
    names = connection.scalars(
        select(nodelist.c.node).where(
            or_(among(connection, nodelist.c.node, owners), among(connection, nodelist.c.groups, concerned))
        )
    ).all()
    found = effective(connection, wanted, names, unreadable)
    return {node: values for node, values in found.items() if values}


def _rules(values: Mapping[str, str]) -> list[str]:
    """The keys of the values that may be regexes."""
    return [key for key, value in values.items() if value[0] in "|/"]


def _applied(values: Values, rules: Sequence[str], node: str, unreadable: Unreadable | None) -> Values:
    """The values with the regexes among them applied; what comes out empty is not set."""
    for key in rules:
        try:
            values[key] = regexattr.apply(values[key], node)
        except DefinitionError as error:
            sentence = _complaint(key, node, error)
            if unreadable is None:
                raise DefinitionError(sentence) from None
            unreadable[node, key] = sentence
        if not values[key]:
            del values[key]
    return values


def _complaint(key: str, node: str, error: DefinitionError) -> str:
    """What is wrong with a value, and where; a password is not quoted."""
    if key.endswith(".password"):
        return f"{key} of {node} is a regex value that cannot be read; it is not shown because it is secret"
    return f"{key} of {node}: {error.message}"


def own_rows(
    connection: Connection, wanted: Wanted, names: Collection[str] | None = None
) -> dict[str, Values]:
    """The rows of these nodes or groups alone, as they are written: nothing inherited, no regex applied."""
    tables = {name: columns for name, columns in wanted.items() if columns}
    if not tables:
        return {}
    few = names if names is not None and len(names) <= FEW else None
    owners, _ = _read(connection, tables, few)
    return {name: owners[name].copy() for name in (owners if names is None else names) if name in owners}


def site_values(connection: Connection) -> dict[str, str]:
    """The site table: every setting that has a value."""
    rows = connection.execute(select(site.c.key, site.c.value).where(enabled(site)).order_by(site.c.key))
    return {key: value for key, value in rows if value}


def logins(connection: Connection, keys: Collection[str]) -> dict[str, tuple[str, str]]:
    """The first user, by name, and his password of each of these keys of the passwd table that has one."""
    statement = (
        select(passwd.c.key, passwd.c.username, passwd.c.password)
        .where(enabled(passwd), passwd.c.key.in_(keys))
        .order_by(passwd.c.username.desc())
    )
    return {key: (user, password or "") for key, user, password in connection.execute(statement)}


def passwords(connection: Connection, key: str) -> list[tuple[str, str]]:
    """User and password of a component in the passwd table, by user."""
    statement = (
        select(passwd.c.username, passwd.c.password)
        .where(enabled(passwd), passwd.c.key == key)
        .order_by(passwd.c.username)
    )
    return [(user, password or "") for user, password in connection.execute(statement)]


def split_list(text: str | None) -> list[str]:
    """The items of a comma separated value, without blanks around them and without empty ones."""
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _nodelist(
    connection: Connection, columns: list[Any], nodes: Collection[str] | None
) -> Sequence[Sequence[Any]]:
    statement = select(nodelist.c.node, nodelist.c.groups, *columns).where(enabled(nodelist))
    if nodes is not None and len(nodes) <= FEW:
        statement = statement.where(nodelist.c.node.in_(nodes))
    rows = sorted(connection.execute(statement).all(), key=lambda row: str(row[0]))
    if nodes is None or len(nodes) <= FEW:
        return rows
    asked = set(nodes)
    return [row for row in rows if row[0] in asked]


def _with_groups(listed: Sequence[Sequence[Any]]) -> set[str]:
    names = {row[0] for row in listed}
    for groups in {row[1] for row in listed}:
        names.update(split_list(groups))
    return names


def _read(
    connection: Connection, wanted: Wanted, names: Collection[str] | None
) -> tuple[dict[str, Values], dict[str, str]]:
    """Every owner's values, and the columns that site.hierarchicalattrs joins with their delimiters.

    Of several rows of one owner (switch, prodkey, deps) the first by the other keys counts. Owners with equal
    rows share one dictionary, which is not to be changed: most of ten thousand nodes differ in no column.
    """
    several = {name: key_names(TABLES[name])[1:] for name in wanted}
    wanted = {name: list(dict.fromkeys([*several[name], *columns])) for name, columns in wanted.items()}
    width = max(1, *(len(columns) for columns in wanted.values()))
    hierarchical = [literal("site"), literal(""), site.c.value, *[null().cast(Text)] * (width - 1)]
    parts = [select(*hierarchical).where(enabled(site), site.c.key == "hierarchicalattrs")]
    parts += [_table_part(TABLES[name], columns, width, names) for name, columns in wanted.items()]
    owners: dict[str, Values] = {}
    joined: dict[str, str] = {}
    shared = _Shared()
    keys = {name: [f"{name}.{column}" for column in columns] for name, columns in wanted.items()}
    first: dict[tuple[str, str], list[str]] = {}
    for name, owner, *values in connection.execute(union_all(*parts)).all():
        if name == "site":
            joined = _hierarchical(values[0] or "")
            continue
        if several[name]:
            place = values[: len(several[name])]
            if first.setdefault((name, owner), place) < place:
                continue
            first[name, owner] = place
            if owner in owners:
                owners[owner] = {key: one for key, one in owners[owner].items() if key not in keys[name]}
        if row := shared.row(name, keys[name], values):
            old = owners.get(owner)
            owners[owner] = shared.both(old, row) if old else row
    return owners, joined


@dataclass(slots=True)
class _Shared:
    """Rows and sums of rows, each made once."""

    _rows: dict[tuple[Any, ...], Values] = field(default_factory=dict)
    #: By the ids of both, which live as long as they are held here.
    _sums: dict[tuple[int, int], tuple[Values, Values, Values]] = field(default_factory=dict)

    def row(self, table: str, keys: Sequence[str], values: Sequence[str | None]) -> Values:
        """The values of a row that has any."""
        known = (table, *values)
        if known not in self._rows:
            self._rows[known] = {key: one for key, one in zip(keys, values, strict=False) if one}
        return self._rows[known]

    def both(self, old: Values, new: Values) -> Values:
        """The values of two rows of one owner."""
        known = (id(old), id(new))
        if known not in self._sums:
            self._sums[known] = old, new, {**old, **new}
        return self._sums[known][2]


def _table_part(
    table: Table, columns: Sequence[str], width: int, names: Collection[str] | None
) -> Select[Any]:
    padding = [null().cast(Text)] * (width - len(columns))
    key = next(iter(table.primary_key.columns))
    part = select(literal(table.name), key, *(table.c[column] for column in columns), *padding)
    part = part.where(enabled(table))
    return part if names is None else part.where(key.in_(names))


def _hierarchical(setting: str) -> dict[str, str]:
    """`col[:delimiter],...` as columns with delimiters."""
    found = {}
    for item in split_list(setting):
        column, _, delimiter = item.partition(":")
        found[column] = delimiter or ","
    return found


@dataclass(frozen=True, slots=True)
class _Merged:
    """What nodes with the same groups and equal rows of their own have."""

    #: Their own row, then the groups' rows, first group first.
    rows: list[Values]
    values: Values
    #: Keys of `values` that may be regexes, and whether any value of the rows goes on in the next one.
    rules: list[str]
    continued: bool


@dataclass(slots=True)
class _Merger:
    """Own rows over group rows; nodes with the same groups and equal rows share one merge."""

    owners: dict[str, Values]
    joined: dict[str, str]
    _merged: dict[tuple[str, int], _Merged] = field(default_factory=dict)

    def values(self, node: str, groups: str) -> tuple[Values, list[str]]:
        """What holds for one node, and the keys whose regexes are not yet applied.

        Those in values that were joined are.
        """
        own = self.owners.get(node)
        known = (groups, id(own))
        if known not in self._merged:
            self._merged[known] = self._merge(own or {}, groups)
        merged = self._merged[known]
        values = merged.values.copy()
        if self.joined or merged.continued:
            self._join(node, values, merged.rows)
            return values, _rules(values)
        return values, merged.rules

    def _merge(self, own: Values, groups: str) -> _Merged:
        rows = [own, *(self.owners[name] for name in split_list(groups) if name in self.owners)]
        values: Values = {}
        for row in reversed(rows):
            values.update(row)
        return _Merged(rows, values, _rules(values), any(_continued(row) for row in rows))

    def _join(self, node: str, merged: Values, rows: list[Values]) -> None:
        for key, value in merged.items():
            delimiter = self.joined.get(key) or self.joined.get(key.partition(".")[2])
            if delimiter is None and not value.endswith(NEXT_RECORD):
                continue
            pieces = [row[key] for row in rows if key in row]
            plain = [_lenient(piece.removesuffix(NEXT_RECORD), node) for piece in pieces]
            if delimiter is not None:
                items = [item for piece in plain for item in piece.split(delimiter) if item]
                merged[key] = delimiter.join(dict.fromkeys(items))
            else:
                ends = (place for place, piece in enumerate(pieces) if not piece.endswith(NEXT_RECORD))
                merged[key] = "".join(plain[: next(ends, len(pieces)) + 1])


def _continued(values: Mapping[str, str]) -> bool:
    """Whether any value goes on in the next row."""
    return any(value.endswith(NEXT_RECORD) for value in values.values())


def _lenient(piece: str, node: str) -> str:
    try:
        return regexattr.apply(piece, node)
    except DefinitionError:
        return piece
