"""What the tables say that concerns the services of one host, read in one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import netdoc
from core.netdoc import NetworksDoc
from core.services import wanted
from core.services.wanted import Service, Wanted
from core.wanted import Kind
from db.definitions import read_rows
from db.engine import Connection
from db.home import Home
from db.lookup import Values, effective, site_values
from db.wanted import documents
from routing.pools import SERVICES
from routing.syncing import own_names


@dataclass(frozen=True, slots=True)
class HostTables:
    """The tables of this host. `wanted` has every service, on or off."""

    home: Home
    is_mn: bool
    wanted: Sequence[Wanted]
    site: Mapping[str, str]
    #: The document of makedhcp -n; None when it was never run.
    networks: NetworksDoc | None
    #: Net and mask of each row of networks.
    nets: Sequence[tuple[str, str]]
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


def read_tables(connection: Connection, home: Home) -> HostTables:
    """The tables of the host that `home` names. Raises DefinitionError for a regex that cannot be read."""
    names = own_names(home)
    rows = effective(connection, {"servicenode": SERVICES}, names)
    row: Values = next((rows[name] for name in names if rows.get(name)), {})
    columns = {key.removeprefix("servicenode."): value for key, value in row.items()}
    nets = [
        (values.get("net", ""), values.get("mask", ""))
        for values in read_rows(connection, "network").values()
    ]
    document = documents(connection, Kind.SERVICE, [netdoc.NAME]).get(netdoc.NAME)
    return HostTables(
        home=home,
        is_mn=home.name == home.mn,
        wanted=[_possible(one, known=document is not None) for one in wanted.read(columns)],
        site=site_values(connection),
        networks=netdoc.from_text(document) if document else None,
        nets=nets,
        monitored=0,
    )


def _possible(one: Wanted, *, known: bool) -> Wanted:
    """DHCP without any network to serve is refused; DNS and TFTP go on."""
    if one.service is not Service.DHCP or not one.on or one.refusal or known:
        return one
    return replace(one, refusal="the networks are not known yet; on the management node run: makedhcp -n")
