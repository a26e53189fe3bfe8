"""Whose report it is, and where it goes: a node is known by its address, and speaks for itself alone.

Addresses are those of the tables hosts and nics; a node that has none there is known by its name's. A service
node hears the nodes whose pools name it, a management node all of them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from core.errors import NodeError, UnavailableError
from core.hostsfile import node_lines
from core.nodestatus import NEXT
from db import nodestatus
from db.engine import Connection, Engine, reading, writing
from db.lookup import effective, site_values
from drivers.resolve import Reverse
from routing.pools import members, pools_of

log = logging.getLogger(__name__)

COLUMNS = {
    "hosts": ["ip", "otherinterfaces"],
    "nics": ["nicips", "nictypes", "nichostnamesuffixes", "nichostnameprefixes"],
}
#: The tables are read again after so many seconds, and sooner for an address that nobody has.
FRESH_S = 5.0
SOON_S = 1.0
#: … but reading them takes no more than a tenth of the time.
REST = 10
#: What was read so long ago is not believed when the database does not answer.
STALE_S = 60.0

#: Moves these nodes on to what comes after their installation; those for which it could not be done.
Advance = Callable[[list[str]], set[str]]


@dataclass(frozen=True, slots=True)
class Roll:
    """Who reports here, as of one look at the tables."""

    read: float = float("-inf")
    #: address → its nodes; more than one is a mistake in the tables.
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Nodes without an address in the tables.
    nameless: frozenset[str] = frozenset()
    #: Nodes that this host serves.
    served: frozenset[str] = frozenset()
    #: site.nodestatus: whether anything is written.
    written: bool = True
    #: Seconds that the look took.
    cost: float = 0.0


class Registrar:
    """Knows nodes by their addresses and records what they say; one thread may ask, another record."""

    def __init__(
        self,
        engine: Engine,
        mn: str,
        serves: Callable[[str], bool] | None,
        advance: Advance,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._mn, self._serves = engine, mn, serves
        self._advance, self._clock = advance, clock
        self._reverse = Reverse()
        self._roll = Roll()

    def who(self, address: str) -> str:
        """The node with this address. Raises NodeError for a stranger, UnavailableError when nobody knows."""
        self._refresh(SOON_S if address not in self._roll.nodes else FRESH_S)
        roll = self._roll
        found = roll.nodes.get(address) or self._by_name(address, roll)
        if len(found) != 1:
            raise NodeError(f"{address} belongs to {' and '.join(found) or 'no node'}")
        if found[0] not in roll.served:
            raise NodeError(f"{found[0]} is not served here")
        return found[0]

    def record(self, reports: Iterable[tuple[str, str]]) -> set[str]:
        """Make durable what nodes said, in their order; those that have to say it again.

        Raises UnavailableError when nothing was written.
        """
        said = list(reports)
        statuses = {node: word for node, word in said if word != NEXT}
        if statuses and self._roll.written:
            with writing(self._engine) as connection:
                nodestatus.write(connection, statuses, time.time())
        done = sorted({node for node, word in said if word == NEXT})
        return self._advance(done) if done else set()

    def _refresh(self, age: float) -> None:
        now = self._clock()
        if now - self._roll.read < max(age, REST * self._roll.cost):
            return
        try:
            with reading(self._engine) as connection:
                found = self._read(connection, now)
            self._roll = replace(found, cost=self._clock() - now)
        except UnavailableError:
            if now - self._roll.read > STALE_S:
                raise

    def _read(self, connection: Connection, now: float) -> Roll:
        values = effective(connection, COLUMNS, unreadable={})
        nodes: dict[str, tuple[str, ...]] = {}
        nameless = set()
        for node, own in values.items():
            lines = node_lines(node, own, "", full_first=False)
            addresses = {str(ip_address(line.ip)) for line in lines}
            for address in addresses:
                nodes[address] = (*nodes.get(address, ()), node)
            if not addresses:
                nameless.add(node)
        served = frozenset(values)
        if self._serves:
            pools = pools_of(connection, sorted(values), self._mn).of
            here = {pool: any(map(self._serves, members(pool))) for pool in set(pools.values())}
            served = frozenset(node for node, pool in pools.items() if here[pool])
        written = nodestatus.is_written(site_values(connection))
        return Roll(now, nodes, frozenset(nameless), served, written)

    def _by_name(self, address: str, roll: Roll) -> tuple[str, ...]:
        """A node that has no address in the tables: its name leads to this address, and back."""
        if not roll.nameless:
            return ()
        name = self._reverse.name_of(address)
        node = name if name in roll.nameless else name.partition(".")[0]
        return (node,) if node in roll.nameless else ()
