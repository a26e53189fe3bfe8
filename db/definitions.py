"""Objects as lsdef shows them: nodes, groups and the site, with attributes in place of tables and columns."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from core.errors import DefinitionError
from db import grants
from db.attributes import GROUP, NODE, PLAIN, SITE_OBJECT, Attributes, Place, attributes, columns_of
from db.lookup import Unreadable, Values, effective, enabled, own_rows
from db.nodes import DatabaseNodes
from db.tables import TABLES

#: The row of postscripts that holds for every node.
DEFAULTS = "xcatdefaults"
#: Objects with their attributes.
Definitions = dict[str, dict[str, str]]
#: `table.column` to attributes and the places that make them so.
PlacesByKey = dict[str, list[tuple[str, Place]]]


def names(source: DatabaseNodes, objtype: str) -> list[str]:
    """Every object of a type, sorted."""
    if objtype == "node":
        return sorted(source.nodes())
    if objtype == "group":
        return sorted(source.group_names())
    if objtype in PLAIN:
        return sorted(read_rows(source.connection, objtype))
    return [SITE_OBJECT]


def read(
    source: DatabaseNodes,
    objtype: str,
    wanted: Collection[str],
    unreadable: Unreadable | None = None,
    asked: Collection[str] = (),
    closed: Collection[str] = (),
) -> Definitions:
    """The definitions of those of the wanted objects that exist, with the attributes that are set.

    `asked` may name the attributes of nodes that are of interest; without it they are all. Those of nodes and
    groups that are `closed` are left out.

    Nodes: with all that they inherit. Groups: what is written for the group itself, and its members.
    """
    if objtype == "node":
        open_ones = [attribute for attribute in asked or NODE if attribute not in closed]
        return read_nodes(source.connection, wanted, open_ones, unreadable)
    if objtype == "group":
        return _read_groups(source, wanted, {} if unreadable is None else unreadable, closed)
    if objtype in PLAIN:
        found = read_rows(source.connection, objtype)
        return {name: found[name] for name in wanted if name in found}
    return {SITE_OBJECT: dict(source.site)} if SITE_OBJECT in wanted else {}


def read_rows(connection: Connection, objtype: str) -> Definitions:
    """All objects of a type whose objects are rows, without disabled ones."""
    plain, known = PLAIN[objtype], attributes(objtype)
    names = {place.key: attribute for attribute, places in known.items() for place in places}
    found: Definitions = {}
    for table in (TABLES[name] for name in plain.tables):
        for row in connection.execute(select(table).where(enabled(table))).mappings():
            name = row[plain.name]
            if not name or (table.name != plain.tables[0] and name not in found):
                continue
            values = {f"{table.name}.{column}": value for column, value in row.items() if value}
            found.setdefault(name, {}).update((names[key], values[key]) for key in values if key in names)
    return found


def read_nodes(
    connection: Connection,
    nodes: Collection[str],
    attributes: Iterable[str] = NODE,
    unreadable: Unreadable | None = None,
) -> Definitions:
    """The effective attributes of nodes that exist."""
    asked = list(attributes)
    found = effective(connection, {"nodelist": [], **columns_of(asked)}, nodes, unreadable)
    places = places_by_key(asked, NODE)
    return {node: as_attributes(places, values) for node, values in found.items()}


def with_defaults(connection: Connection, found: Definitions) -> None:
    """Put the scripts of the row xcatdefaults before those of each node, as they run."""
    rows = own_rows(connection, {"postscripts": ["postscripts", "postbootscripts"]}, [DEFAULTS])
    for key, scripts in rows.get(DEFAULTS, {}).items():
        attribute = key.partition(".")[2]
        for values in found.values():
            own = values.get(attribute)
            values[attribute] = f"{scripts},{own}" if own else scripts


def places_by_key(asked: Iterable[str], known: Attributes) -> PlacesByKey:
    """The attributes that a looked-up value may belong to, by `table.column`."""
    found: PlacesByKey = {}
    for attribute in asked:
        for place in known[attribute]:
            found.setdefault(place.key, []).append((attribute, place))
    return found


def as_attributes(places: PlacesByKey, values: Values) -> dict[str, str]:
    """Looked-up values under the names of the attributes, without what does not count for the object."""
    return {
        attribute: value
        for key, value in values.items()
        for attribute, place in places.get(key, ())
        if place.counts(values)
    }


def own_attributes(connection: Connection, objtype: str, name: str) -> dict[str, str]:
    """What is written for one object itself: nothing inherited, no regex applied."""
    if objtype in PLAIN:
        return read_rows(connection, objtype).get(name, {})
    known = attributes(objtype)
    rows = own_rows(connection, columns_of(known, known), [name])
    return as_attributes(places_by_key(known, known), rows.get(name, {}))


def closed_attributes(connection: Connection) -> dict[str, set[str]]:
    """The attributes of nodes and groups that our role in the database may not read, and why: the tables."""
    tables = grants.refused(connection)
    known = {**GROUP, **NODE} if tables else {}
    closed = {name: tables.intersection(place.table for place in places) for name, places in known.items()}
    return {name: set(why) for name, why in closed.items() if why}


def read_group_rows(
    connection: Connection, groups: Collection[str], closed: Collection[str] = ()
) -> Definitions:
    """What is written for the groups themselves: nothing inherited, and without members."""
    asked = [attribute for attribute in GROUP if attribute not in closed]
    rows = own_rows(connection, columns_of(asked, GROUP), groups)
    places = places_by_key(asked, GROUP)
    return {name: as_attributes(places, rows.get(name, {})) for name in groups}


def _read_groups(
    source: DatabaseNodes, wanted: Collection[str], unreadable: Unreadable, closed: Collection[str]
) -> Definitions:
    known = source.group_names()
    found = read_group_rows(source.connection, [name for name in wanted if name in known], closed)
    for name, values in found.items():
        values.setdefault("grouptype", "static")
        try:
            values["members"] = ",".join(source.group(name) or ())
        except DefinitionError as error:
            unreadable[name, "members"] = error.message
    return found
