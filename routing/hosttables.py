"""What the tables say that concerns the services of one host, read in one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.services import wanted
from core.services.wanted import Wanted
from db.definitions import read_rows
from db.engine import Connection
from db.home import Home
from db.lookup import Values, effective, site_values
from routing.pools import SERVICES
from routing.syncing import own_names


@dataclass(frozen=True, slots=True)
class HostTables:
    """The tables of this host. `wanted` has every service, on or off."""

    home: Home
    is_mn: bool
    wanted: Sequence[Wanted]
    site: Mapping[str, str]
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
        return self.home.path / "services" / self.home.name / daemon


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
    return HostTables(
        home=home,
        is_mn=home.name == home.mn,
        wanted=wanted.read(columns),
        site=site_values(connection),
        nets=nets,
        monitored=0,
    )
