"""Attributes of definitions (lsdef, chdef) and the table columns behind them (reference: xCAT's Schema.pm).

Most attributes are the column of the same name. What differs is listed here: renamed columns, columns that no
attribute reaches, and columns that count only for some hardware control or kind of node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from db.tables import TABLES, is_of_nodes, key_names

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
_USER_COMMENT = {"comments": "usercomment"}
_RENAMED: dict[str, dict[str, str]] = {
    "servicenode": _SETUP,
    "noderes": {"proxydhcp": "supportproxydhcp"},
    "ipmi": _BMC,
    "openbmc": _BMC,
    "nodepos": {"u": "unit"},
    "prescripts": {"begin": "prescripts-begin", "end": "prescripts-end"},
    "switch": {"port": "switchport", "vlan": "switchvlan", "interface": "switchinterface"},
    "switches": {
        "username": "snmpusername",
        "password": "snmppassword",
        "privacy": "snmpprivacy",
        "auth": "snmpauth",
        "sshusername": "username",
        "sshpassword": "password",
    },
    "prodkey": {"key": "productkey"},
    "notification": {"comments": "comments"},
    **{
        name: {"comments": "comments", "disable": "disable"}
        for name in ("monitoring", "eventlog", "auditlog")
    },
    **dict.fromkeys(
        ("nodelist", "nodegroup", "networks", "routes", "policy", "linuximage", "zone", "rack", "boottarget"),
        _USER_COMMENT,
    ),
}
_UNREACHED = {
    "servicenode": {"monserver"},
    "noderes": {"discoverynics", "cmdinterface", "current_osimage", "next_osimage"},
    "ipmi": {"bmcid"},
    "bootparams": {"dhcpstatements", "adddhcpstatements"},
    "deps": {"nodedep", "msdelay", "cmd"},
    "statelite": {"image", "statemnt", "mntopts"},
    "vpd": {"asset", "uuid"},
    "prodkey": {"product"},
    "pdu": {"nodetype"},
}
MGT = "nodehm.mgt"
NODETYPE = "nodetype.nodetype"
#: Tables that count only for nodes that have one of these values among those of this column (the first word).
_ONLY = {
    "ipmi": (MGT, "ipmi"),
    "openbmc": (MGT, "openbmc", "redfish"),
    "switches": (NODETYPE, "switch"),
    "pdu": (NODETYPE, "pdu"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One column behind an attribute; with `only` it counts only where its column has one of its values."""

    table: str
    column: str
    only: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """`table.column`, as look-ups name it."""
        return f"{self.table}.{self.column}"

    def counts(self, values: Mapping[str, str]) -> bool:
        """Whether it counts for who has these values."""
        if self.only is None:
            return True
        column, *allowed = self.only
        return not set(allowed).isdisjoint(values.get(column, "").split(","))


#: Attributes with their places.
Attributes = dict[str, tuple[Place, ...]]


def _of(tables: Iterable[str], name_column: str | None = None) -> Attributes:
    """The attributes behind tables; the column that names the object (the first key) is none of them."""
    found: Attributes = {}
    for name in tables:
        renamed = _RENAMED.get(name, {})
        unreached = {name_column or key_names(TABLES[name])[0]} | _UNREACHED.get(name, set())
        unreached |= {"comments", "disable"} - set(renamed)
        for column in TABLES[name].c:
            if column.name in unreached:
                continue
            attribute = renamed.get(column.name, column.name)
            found[attribute] = (*found.get(attribute, ()), Place(name, column.name, _ONLY.get(name)))
    return found


@dataclass(frozen=True, slots=True)
class PlainType:
    """A type whose objects are rows, one a table: nothing is inherited."""

    #: The main table comes first; `name` is the column that names an object in all of them.
    tables: tuple[str, ...]
    name: str

    @property
    def known(self) -> Attributes:
        """The attributes of the type."""
        return _of(self.tables, self.name)


PLAIN = {
    "osimage": PlainType(("osimage", "linuximage"), "imagename"),
    "network": PlainType(("networks",), "netname"),
    "route": PlainType(("routes",), "routename"),
    "policy": PlainType(("policy",), "priority"),
    "notification": PlainType(("notification",), "filename"),
    "monitoring": PlainType(("monitoring",), "name"),
    "zone": PlainType(("zone",), "zonename"),
    "rack": PlainType(("rack",), "rackname"),
    "boottarget": PlainType(("boottarget",), "bprofile"),
    "eventlog": PlainType(("eventlog",), "recid"),
    "auditlog": PlainType(("auditlog",), "recid"),
}
#: Every type of object; nodes come before groups, because they may be members.
TYPES = ("node", "group", "site", *PLAIN)
#: What `-a` leaves out.
LOGS = ("eventlog", "auditlog")

#: Tables keyed by node or group, without nodelist.
NODE_TABLES = tuple(name for name in TABLES if is_of_nodes(name) and name != "nodelist")
NODE = _of(["nodelist", *NODE_TABLES])
#: `members` of a static group is kept in nodelist.groups.
GROUP = _of(["nodegroup", *NODE_TABLES])
_KNOWN: dict[str, Attributes] = {
    "node": NODE,
    "group": GROUP,
    **{name: plain.known for name, plain in PLAIN.items()},
}
SECRET = frozenset(
    {"bmcpassword", "password", "snmppassword", "community", "authkey", "privkey", "productkey"}
)
SECRET_COLUMNS = frozenset(
    {"passwd.password", "switches.password", "switches.sshpassword"}
    | {place.key for name in SECRET for place in NODE[name]}
)


def attributes(objtype: str) -> Attributes:
    """The attributes of a type of object that has a fixed list of them: any but site."""
    return _KNOWN[objtype]


def places_of(name: str, known: Attributes = NODE) -> tuple[Place, ...]:
    """The places of an attribute, or of `table.column`; none for what does not exist."""
    if "." not in name:
        return known.get(name, ())
    table, _, column = name.partition(".")
    return (Place(table, column),) if is_of_nodes(table) and column in TABLES[table].c else ()


def value_of(name: str, values: Mapping[str, str]) -> str | None:
    """The value of a node attribute or `table.column` among looked-up values; None when it is not set."""
    for place in places_of(name):
        if place.key in values and place.counts(values):
            return values[place.key]
    return None


def columns_of(names: Iterable[str], known: Attributes = NODE) -> dict[str, list[str]]:
    """Everything to look up for these attributes, by table; with what decides whether they count."""
    places = [place for name in names for place in places_of(name, known)]
    deciding = dict.fromkeys(place.only[0] for place in places if place.only)
    wanted: dict[str, list[str]] = {}
    for table, column in [*((place.table, place.column) for place in places), *_split(deciding)]:
        columns = wanted.setdefault(table, [])
        if column not in columns:
            columns.append(column)
    return wanted


def _split(keys: Iterable[str]) -> list[tuple[str, str]]:
    return [(table, column) for table, _, column in (key.partition(".") for key in keys)]
