"""Attributes of definitions (lsdef, chdef) and the table columns behind them (reference: xCAT's Schema.pm).

Most attributes are the column of the same name. What differs is listed here: renamed columns, columns that no
attribute reaches, and columns that count only under one value of mgt.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from db.tables import TABLES

TYPES = ("node", "group", "site")
#: What lsdef shows instead of a password; nothing may be set to it.
HIDDEN_VALUE = "********"
SITE_OBJECT = "clustersite"

_SETUP = {
    "nameserver": "setupnameserver",
    "dhcpserver": "setupdhcp",
    "tftpserver": "setuptftp",
    "nfsserver": "setupnfs",
    "conserver": "setupconserver",
    "ldapserver": "setupldap",
    "ntpserver": "setupntp",
    "ftpserver": "setupftp",
    "nimserver": "setupnim",
    "ipforward": "setupipforward",
    "proxydhcp": "setupproxydhcp",
}
_BMC = {"taggedvlan": "bmcvlantag", "username": "bmcusername", "password": "bmcpassword"}
_RENAMED: dict[str, dict[str, str]] = {
    "servicenode": _SETUP,
    "noderes": {"proxydhcp": "supportproxydhcp"},
    "ipmi": _BMC,
    "openbmc": _BMC,
    "nodelist": {"comments": "usercomment"},
    "nodegroup": {"comments": "usercomment"},
}
_UNREACHED = {
    "servicenode": {"monserver"},
    "noderes": {"discoverynics", "cmdinterface", "current_osimage", "next_osimage"},
    "ipmi": {"bmcid"},
}
#: Tables that count only for nodes whose mgt is their name.
_BY_MGT = ("ipmi", "openbmc")
MGT = "nodehm.mgt"


@dataclass(frozen=True, slots=True)
class Place:
    """One column behind an attribute; with `mgt` it counts only where mgt has that value."""

    table: str
    column: str
    mgt: str | None = None

    @property
    def key(self) -> str:
        """`table.column`, as look-ups name it."""
        return f"{self.table}.{self.column}"


#: Attributes with their places.
Attributes = dict[str, tuple[Place, ...]]


def _of(tables: Iterable[str]) -> Attributes:
    found: Attributes = {}
    for name in tables:
        renamed = _RENAMED.get(name, {})
        unreached = _UNREACHED.get(name, set()) | {"disable"}
        for column in TABLES[name].c:
            if column.primary_key or column.name in unreached:
                continue
            if column.name == "comments" and "comments" not in renamed:
                continue
            attribute = renamed.get(column.name, column.name)
            place = Place(name, column.name, name if name in _BY_MGT else None)
            found[attribute] = (*found.get(attribute, ()), place)
    return found


#: Tables keyed by node or group, without nodelist.
NODE_TABLES = tuple(name for name, table in TABLES.items() if "node" in table.c and name != "nodelist")
NODE = _of(["nodelist", *NODE_TABLES])
#: `members` of a static group is kept in nodelist.groups.
GROUP = _of(["nodegroup", *NODE_TABLES])
SECRET = frozenset({"bmcpassword"})
SECRET_COLUMNS = frozenset({"ipmi.password", "openbmc.password", "passwd.password"})


def attributes(objtype: str) -> Attributes:
    """The attributes of a type of object that has a fixed list of them: node or group."""
    return {"node": NODE, "group": GROUP}[objtype]


def places_of(name: str, known: Attributes = NODE) -> tuple[Place, ...]:
    """The places of an attribute, or of `table.column`; none for what does not exist."""
    if "." not in name:
        return known.get(name, ())
    table, _, column = name.partition(".")
    exists = table in TABLES and "node" in TABLES[table].c and column in TABLES[table].c
    return (Place(table, column),) if exists else ()


def value_of(name: str, values: Mapping[str, str]) -> str | None:
    """The value of a node attribute or `table.column` among looked-up values; None when it is not set."""
    for place in places_of(name):
        if place.mgt in (None, values.get(MGT)) and place.key in values:
            return values[place.key]
    return None


def columns_of(names: Iterable[str], known: Attributes = NODE) -> dict[str, list[str]]:
    """Everything to look up for these attributes, by table; mgt too where it decides."""
    places = [place for name in names for place in places_of(name, known)]
    if any(place.mgt for place in places):
        places.append(Place(*MGT.split(".")))
    wanted: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        columns = wanted.setdefault(place.table, [])
        if place.column not in columns:
            columns.append(place.column)
    return wanted
