"""imgcapture: make a stateless image of a running node (xCAT imgcapture(1))."""

import argparse

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import SETTINGS, add_following, ask
from cli.noderange import node_list
from cli.power import asked_before
from core.errors import RequestError
from core.images.sources import Kind
from db.definitions import read_rows
from db.engine import Connection, writing
from db.home import open_home
from db.images import write_image
from db.lookup import effective
from db.schema import open_database
from routing import osimages
from routing.imagecapture import exlist

DISKLESS = "diskless"


@command
def imgcapture(argv: list[str], ctx: Context) -> int:
    """Make the root tree, kernel and RAM disk of an image from a running node."""
    parser = Parser(
        ctx,
        "imgcapture",
        description="Copy the files of a running node into the root tree of an osimage, over ssh as root.",
        epilog="Without -o the osimage is named after the node's os, arch and profile, and made if need be.",
    )
    parser.add_version()
    parser.add_argument("node", metavar="NODE", help="a node that runs")
    parser.add_argument("-t", "--type", default=DISKLESS, help="diskless (default)")
    parser.add_argument("-o", "--osimage", metavar="IMAGENAME", help="the osimage that it becomes")
    parser.add_argument("-p", "--profile", metavar="PROFILE", help="in place of the node's profile")
    parser.add_argument("-i", dest="interface", metavar="IF", help="interface that the nodes boot over")
    parser.add_argument("-n", dest="drivers", metavar="DRIVERS", help="network drivers, such as tg3,bnx2")
    add_following(parser)
    options = parser.parse_args(argv)
    if options.type != DISKLESS:
        raise RequestError(f"-t {options.type} is not there: images are captured as {DISKLESS} ones alone")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    with writing(engine) as connection:
        node, *others = node_list(connection, options.node, ctx)
        if others:
            raise RequestError(f"one node is captured, and {options.node} are {len(others) + 1}")
        name = _osimage(connection, node, options)
        given = {SETTINGS[word]: value for word in SETTINGS if (value := getattr(options, word, ""))}
        write_image(connection, name, given)
        exlist(osimages.source(connection, home, name, (osimages.METHOD,)))
    details = {"image": name, "node": node}
    return ask(ctx, home, engine, options, "imgcapture", details, what=f"{node} {name}")


def _osimage(connection: Connection, node: str, options: argparse.Namespace) -> str:
    """The osimage that is meant, which is made where there is none. Raises DefinitionError."""
    there = read_rows(connection, "osimage")
    if options.osimage in there:
        if options.profile:
            raise RequestError(f"osimage {options.osimage} has a profile: leave -p out")
        return str(options.osimage)
    row = effective(connection, {"nodetype": ("os", "arch", "profile")}, [node], unreadable={})[node]
    profile = options.profile or row.get("nodetype.profile", "")
    kind = Kind(row.get("nodetype.os", ""), row.get("nodetype.arch", ""), profile)
    name = options.osimage or kind.image_name()
    if name not in there:
        values = {"osvers": kind.osvers, "osarch": kind.osarch, "profile": kind.profile}
        usual = {"provmethod": osimages.METHOD, "imagetype": "linux", "osname": "Linux"}
        write_image(connection, name, values | usual)
    return name
