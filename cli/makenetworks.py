"""makenetworks: rows of the networks table for the networks that this host is on (makenetworks(8))."""

from cli.arguments import Parser, command
from cli.context import Context
from core import stanza
from db.cells import find_rows
from db.definitions import Definitions
from db.engine import one_writer, writing
from db.nodes import DatabaseNodes
from db.plain import writer
from db.schema import open_database
from db.tables import networks
from drivers.interfaces import HostNetwork, read_networks

#: What a node takes for its gateway where this host knows none.
OWN_MASTER = "<xcatmaster>"


@command
def makenetworks(argv: list[str], ctx: Context) -> int:
    """Add the networks that are missing, or with -d print all as stanzas."""
    parser = Parser(ctx, "makenetworks", description="Define the networks that this host is on.")
    parser.add_version()
    parser.add_argument("-d", "--display", action="store_true", help="print stanzas for mkdef -z instead")
    parser.add_argument("-V", "--verbose", action="store_true", help="name the networks that are added")
    options = parser.parse_args(argv)
    found = definitions(read_networks())
    if options.display:
        ctx.say(stanza.HEADER)
        for name, values in found.items():
            ctx.say("\n".join(stanza.lines(name, "network", values)))
        return 0
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        missing = {
            name: values
            for name, values in found.items()
            if not find_rows(connection, networks, {"net": values["net"], "mask": values["mask"]})
        }
        adding = writer(DatabaseNodes(connection), "network")
        taken = adding.existing()
        adding.create({name: values for name, values in missing.items() if name not in taken}, force=False)
    if options.verbose:
        for name in missing:
            ctx.say(f"Added network {name}.")
    return 0


def definitions(found: list[HostNetwork]) -> Definitions:
    """The networks under xCAT's names for them: 10_0_0_0-255_255_0_0."""
    made: Definitions = {}
    for one in found:
        net, mask = str(one.network.network_address), str(one.network.netmask)
        values = {"net": net, "mask": mask, "mgtifname": one.interface, "gateway": one.gateway or OWN_MASTER}
        if one.mtu:
            values["mtu"] = str(one.mtu)
        made[f"{net}-{mask}".replace(".", "_")] = values
    return made
