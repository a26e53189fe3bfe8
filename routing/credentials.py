"""Addresses and credentials of BMCs: looked up on the MN when a batch is planned, sealed for one SN.

What is resolved here is kept only until it is sealed (PROTOCOL rule 20).
"""

import logging
import time
from collections.abc import Iterable

from core.blob import write_blob
from core.bmcaccess import COLUMNS, TABLE_OF, Access, choose, method_of
from core.errors import DefinitionError, NodeError
from db import members
from db.engine import Connection, Engine, reading
from db.lookup import Unreadable, effective, logins, site_values
from db.supervision import JobRow
from drivers.resolve import Resolver
from drivers.seal import seal
from routing.trust import Trust

log = logging.getLogger(__name__)

#: Names and keys are looked up again after so many seconds.
FRESH_S = 30.0
#: Where a table value of a node cannot be read.
BAD_VALUE = "DefinitionError"


class BmcCredentials:
    """The supervisor's way to what BMCs need."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resolver = Resolver()
        self._keys: dict[str, str] = {}
        self._looked = float("-inf")
        self._found: dict[str, tuple[str, Access]] = {}

    def joined(self, sn: str) -> bool:
        """Whether the service node has a public key."""
        if sn not in self._keys or time.monotonic() - self._looked > FRESH_S:
            with reading(self._engine) as connection:
                self._keys = members.keys(connection)
            self._resolver.forget()
            self._looked = time.monotonic()
        return sn in self._keys

    def resolve(self, nodes: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Look up the BMCs of these nodes; answers those that have none, with error class and sentence."""
        with reading(self._engine) as connection:
            accesses, failed = look_up(connection, list(nodes))
        addresses = self._resolver.addresses({access.host for access in accesses.values()})
        self._found = {}
        for node, access in accesses.items():
            if address := addresses.get(access.host):
                self._found[node] = (address, access)
            else:
                failed[node] = ("NoBmcAddress", f"Could not resolve {access.host} to an address")
        return failed

    def seal(self, sn: str, job: JobRow, nodes: Iterable[str]) -> str:
        """The sealed blob for nodes of the last `resolve`, which are forgotten with it."""
        wanted = {node: self._found[node] for node in nodes}
        self._found = {}
        return seal(self._keys[sn], write_blob(wanted))


def look_up(connection: Connection, nodes: list[str]) -> tuple[dict[str, Access], dict[str, tuple[str, str]]]:
    """The BMC of each node, and for those without one the error class and sentence."""
    unreadable: Unreadable = {}
    values = effective(connection, COLUMNS, nodes, unreadable)
    defaults = logins(connection, TABLE_OF)
    trust = Trust(site_values(connection))
    bad = {(node, column.partition(".")[0]): sentence for (node, column), sentence in unreadable.items()}
    accesses: dict[str, Access] = {}
    failed: dict[str, tuple[str, str]] = {}
    for node in nodes:
        told = values.get(node, {})
        table = TABLE_OF.get(method_of(told), "")
        if sentence := bad.get((node, "nodehm")) or bad.get((node, table)):
            failed[node] = (BAD_VALUE, sentence)
            continue
        try:
            accesses[node] = trust.applied(choose(node, told, defaults))
        except (NodeError, DefinitionError) as error:
            failed[node] = (type(error).__name__, error.message)
    return accesses, failed
