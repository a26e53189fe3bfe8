"""rmimage: remove an image's files, and its definition where asked (xCAT rmimage(1))."""

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import add_usual, ask, image_name
from cli.power import asked_before
from db.engine import reading
from db.home import open_home
from db.schema import open_database
from routing import osimages
from routing.imageremoval import refuse_used


@command
def rmimage(argv: list[str], ctx: Context) -> int:
    """Remove an image from the file system."""
    parser = Parser(
        ctx,
        "rmimage",
        description="Remove the files of an image that no node needs: tree, kernel, RAM disks, packed image.",
        epilog="Its lists in /install/custom stay. What else lies in rootimgdir stays too.",
    )
    add_usual(parser)
    parser.add_argument("--xcatdef", action="store_true", help="remove the definition of the osimage too")
    parser.add_argument("--force", action="store_true", help="even if nodes boot it")
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    with reading(engine) as connection:
        name = image_name(connection, options, make=False)
        found = osimages.source(connection, home, name)
        if not options.force:
            refuse_used(connection, found)
    details = {word: "1" for word in ("xcatdef", "force") if getattr(options, word)}
    return ask(ctx, home, engine, options, "rmimage", {"image": name, **details})
