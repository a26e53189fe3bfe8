"""Writing definitions: what mkdef, chdef and rmdef do to the tables, for any number of objects at once.

All of it happens in the caller's transaction, after `db.engine.one_writer`, so that two commands that add to
one list lose nothing. The sentences are xCAT's.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import Connection, delete, update

from core.errors import DefinitionError
from core.noderange import expand
from db.attributes import NODE_TABLES, SITE_OBJECT, Attributes, attributes
from db.bulk import bulk_insert, chunks
from db.checks import check_name, check_values
from db.definitions import Definitions, read_group_rows, read_nodes
from db.groups import drop_groups, rename_group, set_members
from db.lookup import Values, own_rows, split_list
from db.nicattrs import WHOLE, collapsed, whole
from db.nodes import DatabaseNodes
from db.tables import TABLES, key_names, site
from db.upserts import rows_of, upsert

NOT_VALID = "Error: '{}' is not a valid attribute name for an object type of '{}'."
SKIPPED = "Error: Skipping to the next attribute."
NO_GROUPS = "Error: Attribute 'groups' is not specified for node '{}', skipping to the next node."
ONLY_FOR = "Error: Cannot set the attr='{}' attribute unless {} value is {}."
EXISTS_ALREADY = "Cannot change '{}' to '{}': an object of that name exists."
NOT_FOUND = "Could not find an object named '{}' of type '{}'."
EXISTS = (
    "Warning: A definition for '{}' already exists. No changes will be made.  "
    "Run again with '-f' option to force replace."
)
CAPITALS = (
    "Warning: The node name '{}' contains capital letters which may not be resolved correctly "
    "by the dns server."
)


class Mode(Enum):
    """What a given value does to the one that is there: chdef, chdef -p, chdef -m."""

    SET = "set"
    ADD = "add"
    REMOVE = "remove"


@dataclass(slots=True)
class Result:
    """What became of a command: names in the order given, sentences in the order they arose."""

    changed: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    #: Whether an object or attribute was left out.
    refused: bool = False

    def refuse(self, *sentences: str) -> None:
        """Note sentences about what is left out."""
        self.refused = self.refused or bool(sentences)
        self.said.extend(sentences)


@dataclass(frozen=True, slots=True)
class Writer:
    """One command's writing of definitions of one type; `source` is what was there before."""

    source: DatabaseNodes
    objtype: str

    @property
    def connection(self) -> Connection:
        """Of the transaction that all is written in."""
        return self.source.connection

    def create(self, asked: Definitions, force: bool) -> Result:
        """Make objects; one that exists is left alone, or with `force` replaced."""
        result = Result()
        existing = self.existing()
        taken = [name for name in asked if name in existing]
        if taken and force and self.objtype != "site":
            self.remove(taken)
            existing = existing - set(taken)
        elif taken:
            result.refuse(*(EXISTS.format(name) for name in taken))
            asked = {name: given for name, given in asked.items() if name not in existing}
        return self._write(asked, Mode.SET, existing, result)

    def change(self, asked: Definitions, mode: Mode = Mode.SET) -> Result:
        """Give objects the asked attributes, making those that do not exist.

        With ADD and REMOVE the values are items of comma separated lists. Raises DefinitionError, and nothing
        is written, for names and values that nothing may have; what one object cannot have is in the result.
        """
        return self._write(asked, mode, self.existing(), Result())

    def remove(self, names: Collection[str]) -> None:
        """Delete nodes, or groups (also from the nodes that carry them), with all their rows."""
        if self.objtype == "group":
            drop_groups(self.connection, names)
        for table in self._tables():
            key = TABLES[table].c[key_names(TABLES[table])[0]]
            for part in chunks([name] for name in names):
                listed = [name for (name,) in part]
                self.connection.execute(delete(TABLES[table]).where(key.in_(listed)))

    def rename(self, old: str, new: str) -> None:
        """Give an object another name in every table. Raises DefinitionError when that name is taken."""
        check_name(self.objtype, new)
        if old not in self.existing() or self.objtype == "site":
            raise DefinitionError(NOT_FOUND.format(old, self.objtype))
        if new in self.source.nodes() or new in self.source.group_names():
            raise DefinitionError(EXISTS_ALREADY.format(old, new))
        if self.objtype == "group":
            rename_group(self.connection, old, new)
        for table in self._tables():
            key = TABLES[table].c[key_names(TABLES[table])[0]]
            self.connection.execute(delete(TABLES[table]).where(key == new))
            self.connection.execute(update(TABLES[table]).where(key == old).values({key.name: new}))

    def existing(self) -> set[str]:
        """The names of all objects of the type."""
        if self.objtype == "site":
            return {SITE_OBJECT}
        return self.source.group_names() if self.objtype == "group" else set(self.source.nodes())

    def _tables(self) -> tuple[str, ...]:
        return ("nodegroup" if self.objtype == "group" else "nodelist", *NODE_TABLES)

    def _write(self, asked: Definitions, mode: Mode, existing: set[str], result: Result) -> Result:
        for name, given in asked.items():
            check_name(self.objtype, name)
            check_values(given)
        if self.objtype == "site":
            return self._write_site(asked, mode, result)
        asked = self._known(asked, result)
        if self.objtype == "node":
            asked = _with_groups(asked, existing, result)
        if mode is not Mode.SET:
            asked = self._merged(asked, mode)
        else:
            asked = {name: dict(given) for name, given in asked.items()}
        asked = self._collapsed(asked)
        written = self._move_members(asked, mode, existing, result) if self.objtype == "group" else set()
        written |= upsert(self.connection, rows_of(asked, attributes(self.objtype)))
        written |= self._write_conditional(asked, result)
        result.changed = [name for name in asked if name in written]
        result.created = [name for name in result.changed if name not in existing]
        self.source.forget()
        if self.objtype == "node":
            result.said.extend(CAPITALS.format(name) for name in result.created if name != name.lower())
        return result

    def _known(self, asked: Definitions, result: Result) -> Definitions:
        """Without attributes that the type does not have."""
        known = attributes(self.objtype)
        wrong = {
            attribute: None
            for given in asked.values()
            for attribute in given
            if whole(attribute) not in known
        }
        if not wrong:
            return asked
        for attribute in wrong:
            result.refuse(NOT_VALID.format(attribute, self.objtype), SKIPPED)
        return {
            name: {attribute: value for attribute, value in given.items() if whole(attribute) in known}
            for name, given in asked.items()
        }

    def _merged(self, asked: Definitions, mode: Mode) -> Definitions:
        """The lists that are there, inherited ones too, with the asked items added or removed."""
        if self.objtype == "group":
            current = read_group_rows(self.connection, asked)
        else:
            named = {attribute: None for given in asked.values() for attribute in given}
            current = read_nodes(self.connection, asked, named, {})
        return {
            name: {
                attribute: value
                if (self.objtype == "group" and attribute == "members") or whole(attribute) != attribute
                else merge(current.get(name, {}).get(attribute), value, mode)
                for attribute, value in given.items()
            }
            for name, given in asked.items()
        }

    def _collapsed(self, asked: Definitions) -> Definitions:
        """Parts of nic attributes put into what the objects themselves have."""
        if not any(whole(attribute) != attribute for given in asked.values() for attribute in given):
            return asked
        rows = own_rows(self.connection, {"nics": WHOLE}, asked)
        own = {
            name: {key.partition(".")[2]: value for key, value in row.items()} for name, row in rows.items()
        }
        return {name: collapsed(given, own.get(name, {})) for name, given in asked.items()}

    def _move_members(self, asked: Definitions, mode: Mode, existing: set[str], result: Result) -> set[str]:
        """Write the members of static groups into nodelist.groups; a new group gets a grouptype."""
        members: dict[str, list[str]] = {}
        for name, given in asked.items():
            if name not in existing:
                given.setdefault("grouptype", "static")
            if given.get("members", "dynamic") != "dynamic":
                found = expand(given.pop("members"), self.source)
                result.refuse(*("Error: " + NOT_FOUND.format(node, "node") for node in found.missed))
                members[name] = found.nodes
        if members:
            set_members(self.connection, members, mode is not Mode.REMOVE, mode is Mode.SET)
        return set(members)

    def _write_conditional(self, asked: Definitions, result: Result) -> set[str]:
        """Write what counts only for some mgt or nodetype, after these have been written themselves."""
        known = attributes(self.objtype)
        dependent = {
            name: kept
            for name, given in asked.items()
            if (kept := {attr: value for attr, value in given.items() if known[attr][0].only})
        }
        if not dependent:
            return set()
        deciding = self._deciding(dependent, known)
        for attribute in {attr: None for given in dependent.values() for attr in given}:
            only = [place.only for place in known[attribute] if place.only]
            homeless = any(
                attribute in given and not any(place.counts(deciding[name]) for place in known[attribute])
                for name, given in dependent.items()
            )
            if homeless:
                column = only[0][0].partition(".")[2]
                values = [value for one in only for value in one[1:]]
                result.refuse(ONLY_FOR.format(attribute, column, " or ".join(values)))
        return upsert(self.connection, rows_of(dependent, known, deciding))

    def _deciding(self, asked: Definitions, known: Attributes) -> dict[str, Values]:
        """The values, by `table.column`, that decide which places of the asked attributes count."""
        given = {attr for values in asked.values() for attr in values}
        keys = {place.only[0] for attr in given for place in known[attr] if place.only}
        by_attribute = {key.partition(".")[2]: key for key in keys}
        if self.objtype == "group":
            current = read_group_rows(self.connection, asked)
        else:
            current = read_nodes(self.connection, asked, by_attribute, {})
        return {
            name: {key: values[attr] for attr, key in by_attribute.items() if attr in values}
            for name in asked
            for values in [current.get(name, {})]
        }

    def _write_site(self, asked: Definitions, mode: Mode, result: Result) -> Result:
        current = self.source.site
        for name, given in asked.items():
            values = {
                key: value if mode is Mode.SET else merge(current.get(key), value, mode)
                for key, value in given.items()
            }
            gone = [key for key, value in values.items() if not value]
            self.connection.execute(delete(site).where(site.c.key.in_(gone)))
            kept = [{"key": key, "value": value} for key, value in values.items() if value]
            bulk_insert(self.connection, site, kept, replace_on=["key"])
            result.changed.append(name)
        return result


def _with_groups(asked: Definitions, existing: set[str], result: Result) -> Definitions:
    """Without new nodes that are given no groups."""
    kept = {name: given for name, given in asked.items() if name in existing or given.get("groups")}
    result.refuse(*(NO_GROUPS.format(name) for name in asked if name not in kept))
    return kept


def merge(current: str | None, value: str, mode: Mode) -> str:
    """A comma separated list with items added at its end, each once, or removed."""
    there, items = split_list(current), split_list(value)
    if mode is Mode.REMOVE:
        return ",".join(item for item in there if item not in items)
    return ",".join(dict.fromkeys([*there, *items]))
