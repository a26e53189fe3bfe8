"""copycds on the management node: which media go where, and the hand that copies them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import disk_usage

from core.errors import DefinitionError, RequestError
from core.fold import fold
from core.images import mediarows
from core.images.media import MARKS, Medium, decided
from core.images.sources import Kind, find
from core.nodeset.files import DEBIAN_ARCH, INSTALL
from core.services import settings
from db.bootvalues import site_place
from db.definitions import read_rows
from db.deliveries import Said
from db.engine import Connection, Engine, reading, writing
from db.home import Home
from db.images import write_image
from db.lookup import site_values
from drivers.files import write_whole
from drivers.images import media, medialook, mediatree
from drivers.images.build import Tell
from drivers.images.jail import Cancelled, Jail, free_space
from drivers.images.shelf import Shelf, sweep
from routing.imagewishes import defined, publish
from routing.imaging import carried_out
from routing.osimages import SHIPPED, Source
from routing.syncing import Hand, Order

#: Debian's packages with its installer for the network.
INSTALLERS = Path("/usr/lib/debian-installer/images")
#: Kept free besides what is copied.
SPARE_BYTES = 64 << 20
TENTHS = 10
#: How many names are said.
MOST_SAID = 5


@dataclass(frozen=True, slots=True)
class Ask:
    """What the administrator wants copied; empty: the medium decides."""

    paths: tuple[str, ...]
    osvers: str = ""
    osarch: str = ""
    folder: str = ""
    osimages: bool = True

    def details(self) -> dict[str, str]:
        """For the job."""
        told = {"osvers": self.osvers, "osarch": self.osarch, "folder": self.folder}
        return {"media": "\n".join(self.paths), **told, "osimages": "1" if self.osimages else ""}


def ask_of(details: Mapping[str, str]) -> Ask:
    """What `details` told."""
    paths = tuple(details["media"].split("\n"))
    return Ask(paths, details["osvers"], details["osarch"], details["folder"], bool(details["osimages"]))


@dataclass(frozen=True, slots=True)
class Copy:
    """One medium and where it goes; `folder` is as tables name it."""

    source: media.Source
    medium: Medium
    contents: media.Contents
    folder: str

    def known(self, home: Home) -> bool:
        """Whether this very medium was copied there before."""
        return mediatree.fingerprint(self.contents) in mediatree.fingerprints(home.host_path(self.folder))


def copies(ask: Ask, installdir: str, home: Home) -> Iterator[Copy]:
    """What is to be copied where.

    Raises RequestError for media that cannot be read or are not known, and for a folder of something else.
    """
    for path in ask.paths:
        source = media.open_media(Path(path))
        found = media.inspect(source)
        medium = decided(found.medium, ask.osvers, ask.osarch, path)
        top = ask.folder or f"{installdir}/{medium.osvers}/{medium.osarch}"
        folder = f"{top}/{medium.folder}".rstrip("/")
        settings.path(folder, "the folder of the copy")
        if ask.folder and not mediatree.is_ours(home.host_path(folder)):
            raise RequestError(f"{folder} holds something that copycds did not put there; name a new folder")
        yield Copy(source, medium, found.contents, folder)


def copycds(order: Order) -> Said:
    """The hand that copies the media and makes their osimages."""
    ask = ask_of(order.details)
    with reading(order.engine) as connection:
        installdir = settings.trees(site_values(connection)).install

    def act(jail: Jail, tell: Tell) -> str:
        said = []
        for number, path in enumerate(ask.paths):
            (one,) = copies(replace(ask, paths=(path,)), installdir, order.home)
            said.append(copy_one(order.home, one, jail, part(tell, number, len(ask.paths))))
            if ask.osimages:
                with writing(order.engine) as connection:
                    names = put_osimages(connection, order.home, one, installdir)
                said[-1] += f"; osimages {', '.join(names)}"
            if having := published(order, one.folder, installdir):
                said[-1] += f"; goes to {fold(having)}"
        return "\n".join(said)

    return carried_out(order, act)


def published(order: Order, folder: str, installdir: str) -> list[str]:
    """Let those have a tree whose nodes are installed from it; their names."""
    with reading(order.engine) as connection:
        known = defined(connection, site_place(site_values(connection)))
    key = f"{INSTALL}{folder.removeprefix(installdir)}"
    name = next((name for name, other in known.items() if other == key), None)
    try:
        return publish(order.engine, order.home, name) if name else []
    except DefinitionError:
        return []  # nobody is installed from what is not known


def part(tell: Tell, number: int, count: int) -> Tell:
    """Tells of one of several parts of the whole."""
    return lambda percent, text: tell((100 * number + percent) // count, text)


def copy_one(home: Home, one: Copy, jail: Jail, tell: Tell) -> str:
    """Copy a medium, and put the whole into service; the sentence to print. Raises ServalError."""
    tree, size = home.host_path(one.folder), one.contents.size
    name = one.source.path.name
    with Shelf(tree.parent).workshop() as place, media.readable(one.source.path):
        free_space(place, size + SPARE_BYTES)
        new = place / "new"
        new.mkdir()
        tell(1, f"{name}: {size >> 20} MB in {len(one.contents.sizes)} files")
        one.source.take(watched(jail, tell, place, size), new)
        tell(91, "looking at every file")
        mediatree.check(new)
        seen = dict.fromkeys([*mediatree.fingerprints(tree), mediatree.fingerprint(one.contents)])
        if tree.is_dir():
            tell(93, f"joining it with what is in {one.folder}")
            keep = MARKS if one.medium.disc not in ("", "1") else ()
            new = mediatree.joined(tree, new, place, jail, keep)
        write_whole(new / mediatree.FINGERPRINT, ",".join(seen), 0o644)
        said = f"{one.medium.osvers} {one.medium.osarch}: {len(one.contents.sizes)} files in {one.folder}"
        said += network_installer(one.medium, new)
        if one.medium.partial and len(seen) == 1:
            said += "; it has not all packages: genimage and the installer need a mirror in pkgdir"
        tell(95, "listing what service nodes shall have")
        _, left_out = medialook.renew(new, jail.stop)
        if left_out:
            said += f"; service nodes do not get {', '.join(left_out[:MOST_SAID])}, which leads out of it"
        if jail.stop():
            raise Cancelled("cancelled")
        tell(97, "putting it into service")
        mediatree.put(new, tree)
    return said


def network_installer(medium: Medium, tree: Path) -> str:
    """Put the installer that Debian's media lack into the tree; what is to be said when it is not here."""
    if Kind(medium.osvers, medium.osarch, "compute").distribution != "debian":
        return ""
    arch = DEBIAN_ARCH.get(medium.osarch, medium.osarch)
    if mediatree.put_installer(tree, medium.osvers, arch, INSTALLERS):
        return ""
    release = medium.osvers.removeprefix("debian").split(".")[0]
    package = f"debian-installer-{release}-netboot-{arch}"
    return f"; to install nodes from it: apt-get install {package}, and copycds once more"


def watched(jail: Jail, tell: Tell, place: Path, size: int) -> Jail:
    """The jail, which tells how much has been written as long as it runs."""
    before, told = disk_usage(place).free, 0

    def stop() -> bool:
        nonlocal told
        tenth = min(TENTHS * (before - disk_usage(place).free) // max(size, 1), TENTHS - 1)
        if tenth > told:
            told = tenth
            tell(1 + 90 * tenth // TENTHS, f"copied {100 * tenth // TENTHS} %")
        return jail.stop()

    return replace(jail, stop=stop)


def put_osimages(connection: Connection, home: Home, one: Copy, installdir: str) -> list[str]:
    """Make the osimages of a medium; what the administrator has set stays. Their names."""

    def found(kind: Kind, method: str, ending: str) -> str | None:
        tops = (f"{installdir}/custom/{method}", str(SHIPPED / method))
        place = Source("", {}, installdir, home)
        return find(kind, ending, tops, lambda named: place.path(named).is_file())

    there, names = read_rows(connection, "osimage"), []
    is_repository = has_packages(home.host_path(one.folder))
    for name, values in mediarows.osimages(one.medium, one.folder, installdir, found):
        if not is_repository and values["provmethod"] != INSTALL:
            del values["pkgdir"]  # else genimage would not take the distribution's mirrors
        known = there.get(name, {})
        if fresh := {word: value for word, value in values.items() if not known.get(word)}:
            write_image(connection, name, fresh)
        names.append(name)
    return names


def has_packages(tree: Path) -> bool:
    """Whether genimage can take packages from a tree; Debian's installer for the network has none."""
    return any(found for mark in ("dists", "repodata", "*/repodata", "media.1") for found in tree.glob(mark))


def sweep_copies(home: Home, engine: Engine) -> list[str]:
    """At the start of a worker: remove what copies that were killed have left; the folders."""
    with reading(engine) as connection:
        installdir = settings.trees(site_values(connection)).install
        rows = read_rows(connection, "osimage")
    named = {values.get("pkgdir", "").split(",")[0] for values in rows.values()}
    tops = {home.host_path(one).parent for one in named if one.startswith("/") and ".." not in one.split("/")}
    tops |= {home.host_path(installdir), *home.host_path(installdir).glob("*")}
    return [str(top) for top in sorted(tops) if top.is_dir() and sweep(top)]


HANDS: dict[str, Hand] = {"copycds": copycds}
