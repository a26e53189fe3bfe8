"""copycds: the media of a distribution into /install, and osimages for them (xCAT copycds(8)).

The media are looked at here already, so that what is not known is said before there is a job.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.genimage import ask
from cli.objects import printable
from cli.power import asked_before
from core.errors import RequestError
from core.images.media import arch_word
from core.services import settings
from db.engine import Engine, reading
from db.home import open_home
from db.lookup import site_values
from db.schema import open_database
from drivers.images.media import inspect, open_media
from routing.copying import Ask, Copy, copies


@command
def copycds(argv: list[str], ctx: Context) -> int:
    """Copy the media of distributions to where nodes are installed from."""
    options = _parser(ctx).parse_args(argv)
    paths = tuple(_paths(ctx, options.media))
    if options.inspection:
        return _inspect(ctx, paths, options.osvers or options.osarch)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return _end(ctx, follow_steps(ctx, engine, known, options), options.no_wait or options.json)
    folder = os.path.normpath(ctx.cwd / options.path) if options.path else ""
    installdir = _installdir(engine)
    wanted = Ask(paths, options.osvers, arch_word(options.osarch), folder, not options.noosimage)
    fresh: list[Copy] = []
    for one in copies(wanted, installdir, home):
        if options.nonoverwrite and one.known(home):
            ctx.say(f"{one.source.path}: The disc iso has already been copied in!")
            continue
        if not one.folder.startswith(f"{installdir}/"):
            said = f"{one.folder} is not below {installdir}: nodes are not served from there"
            ctx.complain(f"Warning: {said}")
        if not options.json:
            ctx.say(f"Copying media to {one.folder}")
        fresh.append(one)
    if not fresh:
        return 0
    chosen = tuple(str(one.source.path) for one in fresh)
    details = Ask(chosen, wanted.osvers, wanted.osarch, folder, wanted.osimages).details()
    what = " ".join(Path(path).name for path in chosen)
    status = ask(ctx, home, engine, options, "copycds", details, what)
    return _end(ctx, status, options.no_wait or options.json)


def _parser(ctx: Context) -> Parser:
    parser = Parser(
        ctx,
        "copycds",
        description="Copy the media of a distribution to /install/OS/ARCH, and make osimages for it.",
        epilog="Several media of one distribution are joined. Images of DVDs need not be mounted.",
    )
    parser.add_version()
    parser.add_argument("media", nargs="+", metavar="ISO", help="image of a DVD, drive, or folder")
    parser.add_argument(
        "-n", "--name", "--osver", dest="osvers", metavar="OS", default="",
        help="what it is, such as rocky9.4; without it the medium says it",
    )  # fmt: skip
    parser.add_argument("-a", "--arch", dest="osarch", metavar="ARCH", default="", help="such as x86_64")
    parser.add_argument("-p", "--path", metavar="FOLDER", help="copy it to there")
    parser.add_argument("-o", "--noosimage", action="store_true", help="make no osimages")
    parser.add_argument(
        "-w", "--nonoverwrite", action="store_true", help="leave out a medium that was copied before"
    )
    parser.add_argument(
        "-i", "--inspection", action="store_true", help="say what the media are; copy nothing"
    )
    parser.add_argument("-V", "--verbose", action="store_true", help="show the host that does it")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end, no steps")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    return parser


def _paths(ctx: Context, given: list[str]) -> Iterator[str]:
    """The media, absolute. Raises RequestError for a name that cannot be told of in a line."""
    for word in given:
        path = os.path.normpath(ctx.cwd / word)
        if not path.isprintable():
            raise RequestError(f"{path[:200]!r} has characters that are not printable; rename it")
        yield path


def _installdir(engine: Engine) -> str:
    with reading(engine) as connection:
        return settings.trees(site_values(connection)).install


def _inspect(ctx: Context, paths: tuple[str, ...], ignored: str) -> int:
    """Say what media are; 1 when one of them is not known."""
    if ignored:
        ctx.complain("Warning: with -i, what is said by -n and -a does not count")
    status = 0
    for path in paths:
        medium = inspect(open_media(Path(path))).medium
        ctx.say(f"OS Image:{path}")
        if medium is None:
            ctx.complain(f"Error: copycds could not identify {path}; you may wish to try -n")
            status = 1
            continue
        told = {"DISTNAME": medium.osvers, "ARCH": medium.osarch, "DISCNO": medium.disc}
        for word, value in told.items():
            ctx.say(f"{word}:{printable(value)}")
    return status


def _end(ctx: Context, status: int, is_silent: bool) -> int:
    """xCAT's last line."""
    if not status and not is_silent:
        ctx.say("Media copy operation successful")
    return status
