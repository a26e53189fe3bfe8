"""liteimg: the statelite form of an image, on the management node's build queue (xCAT liteimg(1))."""

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import add_following, ask
from cli.power import asked_before
from core.errors import RequestError
from db.engine import reading
from db.home import open_home
from db.schema import open_database
from routing.liteimages import STATELITE, lite_of
from routing.osimages import source


@command
def liteimg(argv: list[str], ctx: Context) -> int:
    """Make the statelite form of an image."""
    parser = Parser(
        ctx,
        "liteimg",
        description="Make the statelite form of an image: a root that is only read, and over it what the "
        "tables litefile and litetree say.",
        epilog="Run it again when these tables or the image have changed; nodes that run are not disturbed.",
    )
    parser.add_version()
    parser.add_argument("image", metavar="IMAGENAME", help="name of an osimage with provmethod=statelite")
    add_following(parser)
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    with reading(engine) as connection:
        found = source(connection, home, options.image, STATELITE)
        lite_of(connection, found)
    if not (found.folder / "rootimg").is_dir():
        raise RequestError(f"{found.folder / 'rootimg'} is not there: run genimage {found.name} first")
    return ask(ctx, home, engine, options, "liteimg", {"image": found.name})
