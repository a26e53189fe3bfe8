"""What nodeset decides by, for any number of nodes: their values, the osimages and the site's settings."""

from collections.abc import Collection
from dataclasses import dataclass, field

from core.images.statelite import lasting
from core.nodeset.cmdline import Place
from core.nodeset.images import Image, image_of
from core.site import number
from db.definitions import read_rows
from db.engine import Connection
from db.images import lite_rows
from db.lookup import Unreadable, Values, effective, site_values

WANTED = {
    "nodetype": ["os", "arch", "profile", "provmethod"],
    "noderes": ["servicenode", "netboot", "tftpdir", "nfsserver", "xcatmaster", "proxydhcp"],
    "nodehm": ["serialport", "serialspeed", "serialflow"],
    "bootparams": ["addkcmdline"],
    "statelite": ["image", "statemnt", "mntopts"],
}
#: Site settings that stand for values which a node does not have.
USUAL = {"nodehm.serialport": "defserialport", "nodehm.serialspeed": "defserialspeed"}


@dataclass(slots=True)
class BootValues:
    """The values of each node by `table.column`; `bad` are nodes with one that cannot be read, and why."""

    nodes: dict[str, Values]
    site: dict[str, str]
    images: dict[str, Image]
    place: Place
    bad: dict[str, str] = field(default_factory=dict)


def boot_values(connection: Connection, nodes: Collection[str]) -> BootValues:
    """What holds for these nodes. Raises RequestError for a site setting that is no number."""
    unreadable: Unreadable = {}
    found = effective(connection, WANTED, nodes, unreadable)
    site = site_values(connection)
    keeping = lasting(lite_rows(connection, "litefile"))
    usual = {key: site[name] for key, name in USUAL.items() if site.get(name)}
    return BootValues(
        nodes={node: usual | values for node, values in found.items()} if usual else found,
        site=site,
        images={name: image_of(name, row, keeping) for name, row in read_rows(connection, "osimage").items()},
        place=site_place(site),
        bad={node: sentence for (node, _), sentence in unreadable.items()},
    )


def site_place(site: Values) -> Place:
    """Where nodes get things from, as the site says."""
    usual = Place()
    return Place(
        installdir=site.get("installdir", usual.installdir).rstrip("/"),
        tftpdir=site.get("tftpdir", usual.tftpdir).rstrip("/"),
        http_port=int(number(site, "httpport", usual.http_port, least=1)),
        report_port=int(number(site, "xcatiport", usual.report_port, least=1)),
    )
