"""What the tables say that concerns the services of one host, read in one snapshot."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import netdoc
from core.dhcpplan import same_host
from core.netdoc import NetworksDoc
from core.services import wanted
from core.services.wanted import Service, Wanted
from core.wanted import Kind
from db.definitions import read_rows
from db.engine import Connection
from db.home import Home
from db.lookup import Values, effective, site_values
from db.wanted import documents
from drivers.services.conserver import Console
from routing.consoles import consoles_of
from routing.pools import SERVICES
from routing.syncing import own_names


@dataclass(frozen=True, slots=True)
class HostTables:
    """The tables of this host. `wanted` has every service, on or off."""

    home: Home
    is_mn: bool
    wanted: Sequence[Wanted]
    #: Services of which the management node's row says nothing: what runs is left as it is.
    silent: frozenset[Service]
    site: Mapping[str, str]
    #: The document of makedhcp -n; None when it was never run.
    networks: NetworksDoc | None
    #: The document of makedns; empty when it was never run.
    records: str
    #: Net and mask of each row of networks.
    nets: Sequence[tuple[str, str]]
    #: What its conserver has, when it shall run.
    consoles: Sequence[Console]
    #: How many nodes name it as their monserver.
    monitored: int

    @property
    def asked(self) -> bool:
        """Whether the tables ask anything of this host at all."""
        return wanted.asked(list(self.wanted))

    def folder(self, daemon: str) -> Path:
        """The folder of a daemon's configuration, below the home."""
        return service_folder(self.home, daemon)


def service_folder(home: Home, daemon: str) -> Path:
    """Where a daemon of this host has its configuration and what it keeps."""
    return home.path / "services" / home.name / daemon


def read_tables(connection: Connection, home: Home, forced: Collection[Service] = ()) -> HostTables:
    """The tables of the host that `home` names; on the management node `forced` services are on.

    Raises DefinitionError for a regex that cannot be read.
    """
    names = own_names(home)
    rows = effective(connection, {"servicenode": SERVICES}, names)
    row: Values = next((rows[name] for name in names if rows.get(name)), {})
    columns = {key.removeprefix("servicenode."): value for key, value in row.items()}
    nets = [
        (values.get("net", ""), values.get("mask", ""))
        for values in read_rows(connection, "network").values()
    ]
    told = documents(connection, Kind.SERVICE, [netdoc.NAME, netdoc.RECORDS])
    document = told.get(netdoc.NAME)
    is_mn = home.name == home.mn
    if is_mn:
        columns |= {service.value: "1" for service in forced if not columns.get(service)}
    asked = wanted.read(columns)
    on = {one.service for one in asked if one.on}
    consoles = consoles_of(connection, names, is_mn=is_mn) if Service.CONSOLES in on else []
    return HostTables(
        home=home,
        is_mn=is_mn,
        wanted=[_possible(one, document is not None, bool(consoles)) for one in asked],
        silent=frozenset(service for service in Service if is_mn and not columns.get(service)),
        site=site_values(connection),
        networks=netdoc.from_text(document) if document else None,
        records=told.get(netdoc.RECORDS, ""),
        nets=nets,
        consoles=consoles,
        monitored=len(monitored_by(connection, names)) if Service.MONITOR in on else 0,
    )


def monitored_by(connection: Connection, names: Collection[str]) -> list[str]:
    """The nodes whose noderes.monserver is the host of these names: `sn1`, or `sn1,name-for-the-node`."""
    found = effective(connection, {"noderes": ["monserver"]})
    first = {
        node: values["noderes.monserver"].partition(",")[0].strip()
        for node, values in found.items()
        if values
    }
    return [node for node, server in first.items() if any(same_host(server, name) for name in names)]


#: Services that cannot run without something to serve.
EMPTY = {
    Service.DHCP: "the networks are not known yet; on the management node run: makedhcp -n",
    Service.PROXY_DHCP: "the networks are not known yet; on the management node run: makedhcp -n",
    Service.CONSOLES: "no node has its console here; set nodehm.cons and nodehm.conserver",
}


def _possible(one: Wanted, networks: bool, consoles: bool) -> Wanted:
    """A service without anything to serve is refused; others of the same daemon go on."""
    served = {Service.DHCP: networks, Service.PROXY_DHCP: networks, Service.CONSOLES: consoles}
    if not one.on or one.refusal or served.get(one.service, True):
        return one
    return replace(one, refusal=EMPTY[one.service])
