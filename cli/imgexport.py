"""imgexport: an image that nodes boot, with its definition and lists, as one file (xCAT imgexport(1))."""

from pathlib import Path

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import add_following, ask
from cli.noderange import node_list
from cli.power import asked_before
from core.errors import RequestError
from db.engine import reading
from db.home import open_home
from db.schema import open_database
from routing import osimages
from routing.imageexport import extras, packed

#: Where another host would be written to.
REMOTE = "-R is not there: copy the bundle with scp"


@command
def imgexport(argv: list[str], ctx: Context) -> int:
    """Write an image and all that belongs to it into a bundle."""
    parser = Parser(
        ctx,
        "imgexport",
        description="Write kernel, RAM disk, packed image, lists and definition of an osimage into one file.",
        epilog="The packed image has the hash of root's password: the bundle is for its owner alone.",
    )
    parser.add_argument("image", metavar="IMAGENAME", help="name of the osimage")
    parser.add_argument("bundle", nargs="?", metavar="FILE", help="default IMAGENAME.tgz in this folder")
    parser.add_argument(
        "-e", "--extra", action="append", default=[], metavar="FILE[:FOLDER]",
        help="another file, or a folder with all in it, for a folder below installdir",
    )  # fmt: skip
    parser.add_argument("-p", "--postscripts", metavar="NODE", help="names of this node's postscripts too")
    parser.add_argument("-R", "--remotehost", metavar="USER@HOST", help="no effect but a refusal: use scp")
    parser.add_argument("-v", dest="verbose", action="store_true", help="as -V")
    add_following(parser)
    options = parser.parse_args(argv)
    if options.remotehost:
        raise RequestError(REMOTE)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    details = {"image": options.image, "extra": "\n".join(options.extra)}
    with reading(engine) as connection:
        found = osimages.source(connection, home, options.image, (osimages.METHOD,))
        if options.postscripts:
            details["node"], *others = node_list(connection, options.postscripts, ctx)
            if others:
                raise RequestError("-p names one node, whose postscripts are taken")
    packed(found)
    if any("\n" in word for word in options.extra):
        raise RequestError("-e: the name of a file holds a line break")
    dict(extras(found, details["extra"]))
    details["bundle"] = str(ctx.cwd / Path(options.bundle or f"{options.image}.tgz"))
    return ask(ctx, home, engine, options, "imgexport", details)
