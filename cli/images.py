"""`serval images`: which service node has which version of an image, and waiting for one to have it."""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from cli.arguments import Parser, command
from cli.columns import aligned, date
from cli.context import Context
from cli.objects import printable
from cli.power import ring
from core.errors import RequestError
from core.fold import fold
from core.imagedoc import SHORT, Copy, Stand
from db.bootvalues import site_place
from db.engine import Engine, one_writer, reading, writing
from db.home import Home, open_home
from db.lookup import site_values
from db.schema import open_database
from routing import imagewishes
from routing.imageneeds import Needs, copy_of, failing, having
from routing.imagewishes import Standing

HEADS = ("OSIMAGE", "VERSION", "MB", "STATE", "SINCE", "SERVICE NODES", "REASON")
#: A service node that fetches says so every second.
SILENT_S = 20.0
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """One service node and image as `--json` prints it. Times are seconds since 1970, 0 for never."""

    image: str
    sn: str
    #: What it shall have, and what it serves; empty: nothing.
    wanted: str
    version: str
    size: int
    since: float
    state: Stand
    percent: int
    reason: str


@command
def images(argv: list[str], ctx: Context) -> int:
    """List the copies of images; 1 when a service node lacks one."""
    parser = Parser(
        ctx,
        "serval images",
        description="List which service node has which version of each image that nodes boot.",
        epilog="Exit status: 0 when every service node has what it shall have, 1 when not.",
    )
    parser.add_argument("images", nargs="*", metavar="OSIMAGE", help="only these (default: all)")
    parser.add_argument(
        "--look", action="store_true", help="look first whether files have changed on the management node"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: an image on one host")
    options = parser.parse_args(argv)
    engine = open_database(ctx.env)
    if options.look:
        home = open_home(ctx.env)
        imagewishes.look_again(engine, home, options.images)
        ring(home)
    with reading(engine) as connection:
        known = imagewishes.defined(connection, site_place(site_values(connection)))
        named = {name: known.get(name, name) for name in options.images}
        stood = imagewishes.standing(connection, set(named.values()) or None)
    for name, copied in named.items():
        if copied not in stood:
            raise RequestError(f"no service node shall have osimage {name}: nodeset asks for images")
    lines = [line for one in stood.values() for line in lines_of(one, time.time())]
    if options.json:
        for line in lines:
            ctx.say(json.dumps(asdict(line), ensure_ascii=False))
    elif lines:
        for row in aligned(HEADS, rows_of(lines)):
            ctx.say(row)
    else:
        ctx.say("no image is asked of any service node yet: nodeset does that")
    return 0 if all(line.state is Stand.CURRENT for line in lines) else 1


def lines_of(one: Standing, now: float) -> list[Line]:
    """A line for each member, by name."""
    return [_line(one, name, copy_of(one.copies, name), now) for name in one.members]


def _line(one: Standing, name: str, said: Copy | None, now: float) -> Line:
    copy = said or Copy(one.doc.image, name)
    stand, reason = copy.stand(one.doc.version), ""
    if stand is Stand.FAILED:
        reason = copy.problem
    elif stand is Stand.FETCHING and now - copy.at > SILENT_S:
        reason = f"nothing was heard of it for {now - copy.at:.0f} s"
    return Line(
        image=one.doc.image,
        sn=copy.sn,
        wanted=one.doc.version,
        version=copy.version,
        size=copy.size,
        since=copy.since,
        state=stand,
        percent=copy.percent if stand is Stand.FETCHING else 0,
        reason=reason,
    )


def rows_of(lines: Iterable[Line]) -> list[list[object]]:
    """Service nodes of which the same is to be said, folded; since when the last of them is so."""
    groups: dict[tuple[str, str, str, str], list[Line]] = {}
    for line in lines:
        state = f"{line.state} {line.percent} %" if line.state is Stand.FETCHING else str(line.state)
        groups.setdefault((line.image, line.version, state, line.reason), []).append(line)
    return [
        [
            image,
            version[:SHORT] or None,
            found[0].size >> 20 if version else None,
            state,
            date(max(line.since for line in found) or None),
            fold(line.sn for line in found),
            reason,
        ]
        for (image, version, state, reason), found in groups.items()
    ]


def wait_for_images(
    ctx: Context, home: Home, engine: Engine, needs: Needs, options: argparse.Namespace
) -> None:
    """Ask for what is lacking and return when one member of each pool has it, or all of one have failed."""
    with writing(engine) as connection:
        one_writer(connection)
        imagewishes.enter(connection, needs.wishes)
    ring(home)
    shown: dict[str, str] = {}
    while True:
        with reading(engine) as connection:
            stood = imagewishes.standing(connection, {image for image, _ in needs.lacking})
        if not options.json:
            show(ctx, stood, shown)
        if not any(coming(stood, image, pool, home.mn) for image, pool in needs.lacking):
            return
        time.sleep(LOOK_S)


def coming(stood: Mapping[str, Standing], image: str, pool: tuple[str, ...], mn: str) -> bool:
    """Whether no member has the image yet, and one may still get it."""
    one = stood.get(image)
    if one is None or having(pool, one.doc, one.copies, mn):
        return False
    return len(failing(pool, one.doc, one.copies)) < len(pool)


def show(ctx: Context, stood: Mapping[str, Standing], shown: dict[str, str]) -> None:
    """Print how far each image is, where that has changed by a tenth or more."""
    for image, one in stood.items():
        groups: dict[str, list[str]] = {}
        for line in lines_of(one, 0):
            tenth = line.percent // 10 * 10
            state = f"{line.state} {tenth} %" if line.state is Stand.FETCHING else str(line.state)
            groups.setdefault(": ".join(filter(None, (state, line.reason))), []).append(line.sn)
        text = ", ".join(f"{fold(names)} {state}" for state, names in groups.items())
        if shown.get(image) != text:
            shown[image] = text
            ctx.say(printable(f"{one.doc.title}: {text}"))
            ctx.out.flush()
