"""What a DHCP server says to one node: the document that makedhcp and nodeset write once."""

import json
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted

from core.errors import RequestError


@dataclass(frozen=True, slots=True)
class DhcpHost:
    """One interface of a node and its fixed lease; the interface that the node boots from comes first."""

    #: `aa:bb:cc:dd:ee:ff`.
    mac: str
    #: Empty: it gets no lease at all (`!*NOIP*` in the mac table). Such ones come last.
    ip: str
    #: Host name in the lease; for the installnic it is the node's name.
    name: str

    def to_text(self) -> str:
        """As JSON."""
        return f'{{"mac": {quoted(self.mac)}, "ip": {quoted(self.ip)}, "name": {quoted(self.name)}}}'


@dataclass(frozen=True, slots=True)
class DhcpDoc:
    """The DHCP records of one node. The boot file follows from loader and client architecture."""

    node: str
    hosts: tuple[DhcpHost, ...]
    #: core.bootdoc.Loader value; empty: this node does not boot from the network.
    loader: str = ""
    #: Fixed next-server (noderes.tftpserver or xcatmaster without a pool); empty: the server that answers.
    server: str = ""
    #: Members of its pool, best first: later ones answer later.
    pool: tuple[str, ...] = ()
    #: Servers that give boot files alone (servicenode.proxydhcp) answer it: noderes.proxydhcp is yes.
    proxy: bool = False

    @property
    def macs(self) -> tuple[str, ...]:
        """The interfaces that may boot: those with a lease."""
        return tuple(host.mac for host in self.hosts if host.ip)

    @property
    def ip(self) -> str:
        """The address of the interface that it boots from; empty when that has no lease."""
        return self.hosts[0].ip if self.hosts else ""

    def to_text(self) -> str:
        """As JSON, the same for equal documents."""
        # Written out, as ten thousand of them are made at a time: json.dumps() takes five times as long.
        hosts = ", ".join([host.to_text() for host in self.hosts])
        pool = ", ".join([quoted(member) for member in self.pool])
        return (
            f'{{"node": {quoted(self.node)}, "hosts": [{hosts}], "loader": {quoted(self.loader)}, '
            f'"server": {quoted(self.server)}, "pool": [{pool}], '
            f'"proxy": {"true" if self.proxy else "false"}}}'
        )


def from_text(text: str) -> DhcpDoc:
    """The document that `to_text` wrote. Raises RequestError when it is none."""
    try:
        told = json.loads(text)
        hosts = tuple(DhcpHost(**host) for host in told["hosts"])
        return DhcpDoc(**told | {"hosts": hosts, "pool": tuple(told["pool"])})
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"a DHCP document cannot be read: {error}") from error
