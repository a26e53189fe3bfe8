"""snmove: who is moved where, written once, and what nodes boot decided again for their new service node."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from core.bootdoc import from_text
from core.errors import DefinitionError, RequestError
from core.hostsfile import node_lines
from core.nodeset.words import IMAGES, Step, parse
from core.snmoving import CONSOLE, FACING, MONITOR, POOL, Host, Moving
from core.wanted import Kind
from db import nodesetwrites, wanted
from db.definitions import read_rows
from db.engine import Connection
from db.home import Home
from db.lookup import Values, effective, site_values, split_list
from db.upserts import Rows, upsert
from routing import nodeset
from routing.nodeset import Plan
from routing.pools import service_nodes

COLUMNS = (POOL, *FACING, MONITOR, CONSOLE)
ADDRESSES = {
    "hosts": ["ip", "hostnames", "otherinterfaces"],
    "nics": ["nicips", "nictypes", "nichostnamesuffixes", "nichostnameprefixes", "nicaliases"],
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of snmove; empty is not given."""

    source: str = ""
    sourcen: str = ""
    dest: str = ""
    destn: str = ""


@dataclass(slots=True)
class Moves:
    """What shall be written: node → `table.column` → value; and why nodes cannot be moved."""

    changes: dict[str, dict[str, str]] = field(default_factory=dict)
    hopeless: dict[str, str] = field(default_factory=dict)


def served_by(connection: Connection, source: str, nodes: Sequence[str] | None) -> list[str]:
    """Those of the nodes (None: of all) whose first service node is `source`."""
    values = effective(connection, _by_table([POOL]), nodes, unreadable={})
    firsts = ((node, split_list(own.get(POOL))[:1]) for node, own in values.items())
    return [node for node, first in firsts if first and _short(first[0]) == _short(source)]


def plan(connection: Connection, asked: Asked, nodes: Sequence[str], mn: str) -> Moves:
    """What moving these nodes changes; nothing is written. Raises RequestError for an unknown destination."""
    able = {_short(name) for name in service_nodes(connection)} | {_short(mn)}
    if asked.dest and _short(asked.dest) not in able:
        raise RequestError(f"{asked.dest} is not a service node: it has no row in the servicenode table")
    values = effective(connection, _by_table(COLUMNS), nodes, unreadable={})
    movings = _Movings(connection, asked)
    made = Moves()
    for node in nodes:
        own = values.get(node, {})
        pool = split_list(own.get(POOL))
        old = asked.source or (pool[0] if pool else "")
        new = asked.dest or next((name for name in pool if _short(name) != _short(old)), "")
        try:
            if not old or not new:
                raise DefinitionError(f"servicenode is '{','.join(pool)}': there is no backup; say -d SN")
            if _short(new) not in able:
                raise DefinitionError(f"{new} is not a service node: it has no row in the servicenode table")
            if changes := movings.of(old, new).changes(own):
                made.changes[node] = changes
        except DefinitionError as error:
            made.hopeless[node] = error.message
    return made


def write(connection: Connection, made: Moves) -> None:
    """Write it into the nodes' own rows, also where the values came from a group.

    The caller has called `one_writer`.
    """
    rows: Rows = {}
    for node, changes in made.changes.items():
        for key, value in changes.items():
            table, _, column = key.partition(".")
            rows.setdefault(table, {}).setdefault(node, {})[column] = value
    upsert(connection, rows)


def again(connection: Connection, nodes: Iterable[str], home: Home) -> list[tuple[str, Plan]]:
    """What the nodes boot, decided anew and otherwise left as it is: a chain's words and its plan."""
    documents = wanted.documents(connection, Kind.BOOT, nodes)
    waiting = nodesetwrites.current_chains(connection, list(documents))
    by_chain: dict[str, list[str]] = {}
    for node, text in documents.items():
        words = [_word(from_text(text).state), *([waiting[node]] if node in waiting else [])]
        by_chain.setdefault(",".join(words), []).append(node)
    plans = []
    for text, some in sorted(by_chain.items()):
        made = nodeset.plan(connection, parse(text), sorted(some), home)
        made.with_status = False
        plans.append((text, made))
    return plans


def _word(state: str) -> str:
    """The word of nodeset that leads to a state: `osimage` for `netboot debian12-x86_64-compute`."""
    step = state.partition(" ")[0]
    return Step.OSIMAGE.value if step in IMAGES else state


class _Movings:
    """Each pair of service nodes looked up once."""

    def __init__(self, connection: Connection, asked: Asked) -> None:
        self._connection, self._asked = connection, asked
        self._domain = site_values(connection).get("domain", "")
        self._networks = _networks(connection)
        self._known: dict[tuple[str, str], Moving] = {}

    def of(self, old: str, new: str) -> Moving:
        if (old, new) not in self._known:
            asked = self._asked
            self._known[old, new] = Moving(
                self._host(old, asked.sourcen), self._host(new, asked.destn), self._networks
            )
        return self._known[old, new]

    def _host(self, name: str, facing: str) -> Host:
        values: Values = effective(self._connection, ADDRESSES, [name], unreadable={}).get(name, {})
        lines = node_lines(name, values, self._domain, full_first=False)
        names = frozenset(word for line in lines for word in line.names)
        return Host(name, names, tuple(line.ip for line in lines), facing)


def _networks(connection: Connection) -> list[IPv4Network | IPv6Network]:
    found = []
    for row in read_rows(connection, "network").values():
        try:
            found.append(ip_network(f"{row.get('net')}/{row.get('mask', '').lstrip('/')}", strict=False))
        except ValueError:
            continue
    return found


def _by_table(columns: Iterable[str]) -> dict[str, list[str]]:
    wanted_columns: dict[str, list[str]] = {}
    for key in columns:
        table, _, column = key.partition(".")
        wanted_columns.setdefault(table, []).append(column)
    return wanted_columns


def _short(name: str) -> str:
    return name.partition(".")[0].lower()
