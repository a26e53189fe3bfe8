"""lsxcatd: release, role of this host, and database in use (man page lsxcatd(1))."""

from cli.arguments import Parser, command
from cli.context import Context
from core.release import RELEASE
from db.engine import Engine, reading, settings
from db.home import open_home
from db.schema import open_database
from routing.pools import service_nodes


@command
def lsxcatd(argv: list[str], ctx: Context) -> int:
    """Print what is asked for."""
    parser = Parser(ctx, "lsxcatd", description="Print the release, the role of this host, the database.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("-v", "--version", action="store_true", help="the release")
    which.add_argument("-d", "--database", action="store_true", help="the database in use")
    which.add_argument("-t", "--nodetype", action="store_true", help="management node or service node")
    which.add_argument("-a", "--all", action="store_true", help="all of it")
    options = parser.parse_args(argv)
    if options.version or options.all:
        ctx.say(f"Version {RELEASE} (Serval)")
    if options.version:
        return 0
    engine = open_database(ctx.env)
    if options.nodetype or options.all:
        ctx.say(f"This is a {_role(engine, ctx)}")
    if options.database or options.all:
        for name, value in settings(engine).items():
            ctx.say(f"{name}={value}")
    return 0


def _role(engine: Engine, ctx: Context) -> str:
    with reading(engine) as connection:
        served = service_nodes(connection)
    return "Service Node" if open_home(ctx.env).name in served else "Management Node"
