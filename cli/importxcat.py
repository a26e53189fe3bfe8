"""`serval import-xcat`: a whole xCAT site from the files of dumpxCATdb (docs/how-to/move-from-xcat.md)."""

from cli.arguments import Parser, command
from cli.context import Context
from cli.dumps import read_folder
from cli.objects import printable
from core.errors import RequestError
from db import xcatimport
from db.engine import one_writer, writing
from db.home import open_home
from db.schema import open_database
from drivers.files import PRIVATE, make_folder, write_whole

ASIDE = "from-xcat"


@command
def import_xcat(argv: list[str], ctx: Context) -> int:
    """Take over the tables of a folder, all or none."""
    parser = Parser(
        ctx,
        "serval import-xcat",
        description="Take over an xCAT site from a folder that dumpxCATdb wrote, all of it or nothing.\n"
        f"What Serval has no place for is kept in SERVAL_HOME/{ASIDE}.",
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done, change nothing")
    parser.add_argument("--replace", action="store_true", help="what the tables hold now is lost")
    parser.add_argument("folder", metavar="FOLDER", help="with one TABLE.csv for each table")
    options = parser.parse_args(argv)
    site = xcatimport.read(read_folder(ctx.cwd / options.folder))
    home = open_home(ctx.env)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        there = xcatimport.filled(connection)
        if there and not options.replace:
            raise RequestError(
                f"The database has definitions already ({', '.join(there[:5])}); nothing was changed. "
                "--replace puts the xCAT site in their place."
            )
        if not options.dry_run:
            xcatimport.store(connection, site)
            if site.aside:
                make_folder(home.path / ASIDE)
            for name, text in site.aside.items():
                write_whole(home.path / ASIDE / f"{name}.csv", text, PRIVATE)
    for name, rows in site.rows.items():
        if rows:
            ctx.say(f"  {name:<14} {len(rows):>9,} rows")
    for remark in site.remarks:
        ctx.complain(f"Note: {printable(remark)}")
    total = sum(map(len, site.rows.values()))
    if options.dry_run:
        ctx.say(f"{total:,} rows would be taken over; nothing was changed.")
        return 0
    if site.aside:
        ctx.say(f"What has no place is kept in {home.path / ASIDE}.")
    ctx.say(f"{total:,} rows were taken over and compared.")
    return 0
