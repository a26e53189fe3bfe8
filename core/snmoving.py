"""What moving a node to another service node changes in its tables (xCAT snmove(1)). Pure rules.

The new one comes to the front of the pool. Everything else is changed only where it names the old one, and
stays what it was: an address becomes an address, a name a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from core.errors import DefinitionError

#: Servers as nodes know them.
FACING = ("noderes.xcatmaster", "noderes.tftpserver", "noderes.nfsserver")
MONITOR = "noderes.monserver"
CONSOLE = "nodehm.conserver"
POOL = "noderes.servicenode"


@dataclass(frozen=True, slots=True)
class Host:
    """A service node: its name in pools, what else the tables call it, and its addresses."""

    name: str
    names: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    #: How nodes know it, where that was said: snmove -S and -D.
    facing: str = ""

    def is_called(self, text: str) -> bool:
        """Whether the text means this host."""
        return text != "" and text in {self.name, self.facing, *self.names, *self.addresses}


@dataclass(frozen=True, slots=True)
class Moving:
    """One move: from where to where, in which networks."""

    old: Host
    new: Host
    networks: Sequence[IPv4Network | IPv6Network] = field(default=())

    def changes(self, values: Mapping[str, str]) -> dict[str, str]:
        """The columns of one node that change, with their new values; `values` are those in force.

        Raises DefinitionError when nothing says how the node knows the new service node.
        """
        pool = [name.strip() for name in values.get(POOL, "").split(",") if name.strip()]
        wanted = {POOL: ",".join([self.new.name, *(name for name in pool if name != self.new.name)])}
        for column in FACING:
            if self.old.is_called(values.get(column, "")):
                wanted[column] = self._facing(values[column], column)
        monitor, comma, known = values.get(MONITOR, "").partition(",")
        if self.old.is_called(monitor):
            wanted[MONITOR] = self.new.name + (comma and f",{self._facing(known, MONITOR)}")
        if self.old.is_called(values.get(CONSOLE, "")):
            wanted[CONSOLE] = self.new.name
        return {column: value for column, value in wanted.items() if value != values.get(column)}

    def _facing(self, was: str, column: str) -> str:
        """How the node knows the new one, in the manner in which it knew the old one."""
        if self.new.facing:
            return self.new.facing
        if not _is_address(was):
            other = self.new.name + was.removeprefix(self.old.name)
            return other if was.startswith(self.old.name) and other in self.new.names else self.new.name
        near = [net for net in self.networks if _inside(was, net)]
        found = [one for one in self.new.addresses if any(_inside(one, net) for net in near)]
        if not found and len(self.new.addresses) == 1 and not near:
            found = list(self.new.addresses)
        if not found:
            raise DefinitionError(
                f"{column} is {was}, and the tables give {self.new.name} no address in that network: say it "
                "with -D"
            )
        return found[0]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _inside(text: str, network: IPv4Network | IPv6Network) -> bool:
    return ip_address(text) in network
