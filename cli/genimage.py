"""genimage and packimage: build and pack images on the management node's build queue (xCAT genimage(1)).

Everything that decides is read here already, so that a list that is wrong is said before there is a job.
"""

import argparse
import re
import time
from collections.abc import Mapping

from cli.arguments import Parser, command
from cli.buildsteps import follow_steps
from cli.context import Context
from cli.power import asked_before, broker, ring
from core.errors import DefinitionError, RequestError
from core.images.sources import Kind
from db import jobs
from db.engine import Connection, Engine, reading, writing
from db.home import Home, open_home
from db.images import read_image, write_image
from db.schema import open_database
from drivers import leases
from drivers.images.pack import Compression, Method
from drivers.images.sshname import login
from routing import osimages
from routing.spread import SpreadAsk, new_job

#: The queue class that builds.
BUILD = "build"
#: xCAT's words for the compression.
COMPRESSIONS = {**{one.value: one for one in Compression}, "pigz": Compression.GZIP}
#: Option → attribute of the osimage that it sets.
SETTINGS = {
    "interface": "nodebootif",
    "drivers": "netdrivers",
    "others": "otherifce",
    "kernel": "kernelver",
    "permission": "permission",
}
#: As mount(8) writes the size of a file system in memory.
ROOTLIMIT = re.compile(r"[1-9][0-9]{0,8}[kKmMgG%]?")


@command
def genimage(argv: list[str], ctx: Context) -> int:
    """Build the root tree, kernel and RAM disk of a stateless image."""
    parser = Parser(
        ctx,
        "genimage",
        description="Build a stateless image from its package lists: the root tree, kernel and RAM disk.",
        epilog="With -o and -p and without an image name the osimage is made where there is none.",
    )
    add_usual(parser)
    _add_building(parser)
    options = parser.parse_args(argv)
    _refuse(options)
    given = {SETTINGS[word]: value for word in SETTINGS if (value := getattr(options, word))}
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    with writing(engine) as connection:
        name = image_name(connection, options, make=not options.dryrun)
        if given and not options.dryrun:
            write_image(connection, name, given)
        wanted = osimages.recipe(osimages.source(connection, home, name))
    if options.dryrun:
        for number, block in enumerate((*wanted.packages, *wanted.others), 1):
            ctx.say(f"transaction {number}: {' '.join(entry.name for entry in block.install)}")
        return 0
    details = {word: "1" for word in ("fresh", "update", "noupdate", "onlyinitrd") if getattr(options, word)}
    if options.on:
        details["on"] = str(login(options.on))
    if options.rootlimit:
        details["rootlimit"] = options.rootlimit
    return ask(ctx, home, engine, options, "genimage", {"image": name, **details})


def _add_building(parser: Parser) -> None:
    """What genimage alone understands."""
    parser.add_argument("-i", dest="interface", metavar="IF", help="interface that the nodes boot over")
    parser.add_argument("-n", dest="drivers", metavar="DRIVERS", help="network drivers, such as tg3,bnx2")
    parser.add_argument(
        "-r",
        dest="others",
        metavar="OTHERIFS",
        help="interfaces that are no Ethernet and get an address too: ib0",
    )
    parser.add_argument("-k", dest="kernel", metavar="RELEASE", help="kernel release to boot")
    parser.add_argument(
        "-l", dest="rootlimit", metavar="ROOTLIMIT", help="memory that the root may take, such as 2g or 40%%"
    )
    parser.add_argument("--permission", metavar="MODE", help="of /.statelite, such as 755")
    parser.add_argument("--onlyinitrd", action="store_true", help="make only the RAM disk anew")
    parser.add_argument("--fresh", action="store_true", help="build anew even if no list has changed")
    newest = parser.add_mutually_exclusive_group()
    newest.add_argument("--update", action="store_true", help="bring the packages to their newest versions")
    newest.add_argument(
        "--noupdate", action="store_true", help="when lists have changed, leave what is there at its version"
    )
    parser.add_argument("--on", metavar="HOST", help="build on this machine, over ssh as root")
    parser.add_argument("--interactive", action="store_true", help="of xCAT; is refused, see --dryrun")
    parser.add_argument("--dryrun", action="store_true", help="print what would be installed; nothing is")


def _refuse(options: argparse.Namespace) -> None:
    """Raises RequestError for values that mean nothing, and for what a queue cannot do."""
    if options.interactive:
        raise RequestError(
            "--interactive: an image is built in a queue, where nobody can be asked. genimage --dryrun "
            "prints what would be installed; what packages ask can be answered by #ENV:…# in the pkglist"
        )
    if options.on and (options.onlyinitrd or options.update or options.noupdate):
        raise RequestError(
            "--on builds from nothing: --onlyinitrd, --update and --noupdate change the tree that is here"
        )
    if options.rootlimit and not ROOTLIMIT.fullmatch(options.rootlimit):
        raise RequestError(
            f"-l {options.rootlimit[:40]!r}: it is an amount of memory, such as 800m, 2g or 40%"
        )
    if options.permission and not re.fullmatch(r"[0-7]{3,4}", options.permission):
        raise RequestError(f"--permission {options.permission[:40]!r}: it is a mode, such as 755")


@command
def packimage(argv: list[str], ctx: Context) -> int:
    """Pack the root tree of an image into the file that nodes boot."""
    parser = Parser(
        ctx,
        "packimage",
        description="Pack the root tree of an image. The old image stays in service until the new is whole.",
    )
    add_usual(parser)
    parser.add_argument(
        "-m", dest="method", choices=[one.value for one in Method], default=Method.SQUASHFS.value,
        help="form of the image (default squashfs)",
    )  # fmt: skip
    parser.add_argument(
        "-c", dest="compression", choices=list(COMPRESSIONS), default=Compression.ZSTD.value,
        help="compression (default zstd)",
    )  # fmt: skip
    options = parser.parse_args(argv)
    home, engine = open_home(ctx.env), open_database(ctx.env)
    if ctx.again and (known := asked_before(engine, ctx.request)) is not None:
        return follow_steps(ctx, engine, known, options)
    with reading(engine) as connection:
        name = image_name(connection, options, make=False)
        found = osimages.source(connection, home, name, (osimages.METHOD,))
        found.excludes()
    if not (found.folder / "rootimg").is_dir():
        raise RequestError(f"{found.folder / 'rootimg'} is not there: run genimage {name} first")
    compression = COMPRESSIONS[options.compression].value
    details = {"image": name, "method": options.method, "compression": compression}
    return ask(ctx, home, engine, options, "packimage", details)


def add_usual(parser: Parser) -> None:
    """What both understand."""
    parser.add_version()
    parser.add_argument("image", nargs="?", metavar="IMAGENAME", help="name of the osimage")
    parser.add_argument("-o", dest="osvers", metavar="OS", help="such as debian12, in place of IMAGENAME")
    parser.add_argument("-p", dest="profile", metavar="PROFILE", help="such as compute or service")
    parser.add_argument("-a", dest="osarch", metavar="ARCH", default="x86_64", help="default x86_64")
    add_following(parser)


def add_following(parser: Parser) -> None:
    """How the job is followed."""
    parser.add_argument("-V", "--verbose", action="store_true", help="show the host that does it")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end, no steps")
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")


def image_name(connection: Connection, options: argparse.Namespace, *, make: bool) -> str:
    """The osimage that is meant; -o and -p mean the one of xCAT's name, which is made when `make` says so.

    Raises RequestError.
    """
    if options.image:
        if options.osvers or options.profile:
            raise RequestError("write either the name of an osimage, or -o, -p and -a")
        return str(options.image)
    if not (options.osvers and options.profile):
        raise RequestError("write the name of an osimage (lsdef -t osimage lists them), or -o and -p")
    kind = Kind(options.osvers, options.osarch, options.profile)
    name = kind.image_name()
    try:
        read_image(connection, name)
    except DefinitionError:
        if not make:
            raise
        values = {"osvers": kind.osvers, "osarch": kind.osarch, "profile": kind.profile}
        usual = {"provmethod": "netboot", "imagetype": "linux", "osname": "Linux"}
        write_image(connection, name, values | usual)
    return name


def ask(
    ctx: Context,
    home: Home,
    engine: Engine,
    options: argparse.Namespace,
    kind: str,
    details: Mapping[str, str],
    what: str = "",
) -> int:
    """Enter the job, whose one node is the management node, and follow it; `what`: no image."""
    spread = SpreadAsk(
        request=ctx.request,
        command=kind,
        label=f"{kind} {what or details['image']}",
        who=ctx.who,
        kinds=(kind,),
        pools={home.mn: (home.mn,)},
        changing=False,
        details=details,
        queue=BUILD,
    )
    leases.read(leases.connect(broker(home)))
    with writing(engine) as connection:
        number = jobs.enter(connection, new_job(spread), time.time())
    ring(home)
    return follow_steps(ctx, engine, number, options)
