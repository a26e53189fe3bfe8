"""imgimport: take in a bundle that imgexport wrote, here or at another site (xCAT imgimport(1))."""

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import add_following, ask
from cli.imgexport import REMOTE
from cli.noderange import node_list
from cli.power import asked_before
from core.errors import RequestError
from core.fold import fold
from db.engine import reading
from db.home import open_home
from db.schema import open_database
from drivers.images.bundle import read_manifest
from routing.imageimport import incoming, refuse_there


@command
def imgimport(argv: list[str], ctx: Context) -> int:
    """Make an osimage, ready to boot, of a bundle."""
    parser = Parser(
        ctx,
        "imgimport",
        description="Make an osimage, ready to boot, of a bundle of imgexport, beside what is there.",
    )
    parser.add_argument("bundle", metavar="FILE", help="the bundle")
    parser.add_argument(
        "-p", "--postscripts", metavar="NODERANGE", help="give its postscripts to these nodes"
    )
    parser.add_argument("-f", "--profile", metavar="PROFILE", help="import it under another profile")
    parser.add_argument(
        "--force", action="store_true", help="replace an image, definition and files there are"
    )
    parser.add_argument("-R", "--remotehost", metavar="USER@HOST", help="no effect but a refusal: use scp")
    parser.add_argument("-v", dest="verbose", action="store_true", help="as -V")
    add_following(parser)
    options = parser.parse_args(argv)
    if options.remotehost:
        raise RequestError(REMOTE)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    bundle = ctx.cwd / options.bundle
    told = read_manifest(bundle)
    details = {"bundle": str(bundle), "profile": options.profile or ""}
    with reading(engine) as connection:
        coming = incoming(connection, home, told, details["profile"])
        if not options.force:
            refuse_there(connection, coming)
        if options.postscripts:
            if not told.postscripts:
                raise RequestError("the bundle has no postscripts: imgexport takes them with -p NODE")
            details["nodes"] = fold(node_list(connection, options.postscripts, ctx))
    details |= {"image": coming.found.name} | ({"force": "1"} if options.force else {})
    return ask(ctx, home, engine, options, "imgimport", details)
