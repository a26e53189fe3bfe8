"""genimage and packimage on the host that builds: from the tables and lists to what the drivers take.

The command reads all of it too, before it makes the job: so a list that cannot be read is said at once.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import DefinitionError, RequestError, ServalError, UnavailableError
from core.images.exlist import Excludes, read_exlist
from core.images.pkglist import Transaction, read_pkglist
from core.images.sources import Kind, find, listed, scripts
from core.nodeset.files import INSTALL, served
from core.services import settings
from db import events
from db.definitions import read_rows
from db.deliveries import Said
from db.engine import Connection, Engine, reading, writing
from db.home import Home
from db.images import read_image
from db.lookup import passwords, site_values
from drivers.files import make_folder
from drivers.images.build import Tell, build
from drivers.images.jail import Jail
from drivers.images.pack import Compression, Method, Wanted, pack
from drivers.images.recipe import Recipe
from drivers.images.shelf import sweep
from routing.syncing import Hand, Order

log = logging.getLogger(__name__)

#: What Serval ships for images.
SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "images"
STATUS = SHIPPED.parent / "node" / "serval-status"
METHODS = ("netboot", "statelite")
#: The event of a job that says how far it is.
STEP = "step"
#: Attributes with files → the ending of the file that is looked for when they are not set.
LISTS = {
    "pkglist": "pkglist",
    "exlist": "exlist",
    "otherpkglist": "otherpkgs.pkglist",
    "postinstall": "postinstall",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One osimage as the tables describe it, and where its files lie on this host."""

    name: str
    values: Mapping[str, str]
    installdir: str
    home: Home

    @property
    def kind(self) -> Kind:
        """Raises DefinitionError when osvers, osarch or profile cannot be used."""
        values = self.values
        try:
            return Kind(values.get("osvers", ""), values.get("osarch", ""), values.get("profile", ""))
        except DefinitionError as error:
            raise DefinitionError(f"osimage {self.name}: {error.message}") from error

    @property
    def folder(self) -> Path:
        """rootimgdir on this host. Raises DefinitionError when it is not below installdir."""
        kind = self.kind
        usual = f"{self.installdir}/netboot/{kind.osvers}/{kind.osarch}/{kind.profile}"
        named = self.values.get("rootimgdir") or usual
        served(named, self.installdir, INSTALL, f"rootimgdir of osimage {self.name}")
        return self.home.host_path(named)

    def path(self, named: str) -> Path:
        """A file that a table names: what is shipped lies where it is, everything else below the root."""
        return Path(named) if Path(named).is_relative_to(SHIPPED) else self.home.host_path(named)

    def read(self, named: str) -> str:
        """The text of such a file."""
        return self.path(named).read_text(encoding="utf-8")

    def lists(self, attribute: str) -> tuple[str, ...]:
        """The files of an attribute, or the one that fits where it is not set."""
        if value := self.values.get(attribute, ""):
            return listed(value, f"{attribute} of osimage {self.name}")
        tops = (f"{self.installdir}/custom/netboot", str(SHIPPED / "netboot"))
        found = find(self.kind, LISTS[attribute], tops, lambda named: self.path(named).is_file())
        return (found,) if found else ()

    @property
    def variables(self) -> dict[str, str]:
        """What xCAT tells scripts; lists may use them in #INCLUDE:…#."""
        values, kind = self.values, self.kind
        return {
            "IMG_NAME": self.name,
            "IMG_ARCH": kind.osarch,
            "IMG_OSVER": kind.osvers,
            "IMG_PROFILE": kind.profile,
            "IMG_ROOTIMGDIR": str(self.folder),
            "IMG_KERNELVERSION": values.get("kernelver", ""),
            "IMG_PKGLIST": ",".join(self.lists("pkglist")),
            "IMG_PKGDIR": values.get("pkgdir", ""),
            "IMG_OTHERPKGLIST": ",".join(self.lists("otherpkglist")),
            "IMG_OTHERPKGDIR": values.get("otherpkgdir", ""),
        }

    def packages(self, attribute: str, *, other: bool = False) -> tuple[Transaction, ...]:
        """The transactions of pkglist or otherpkglist."""
        return read_pkglist(self.lists(attribute), self.read, self.variables, other=other)

    def excludes(self) -> Excludes:
        """The exclude list."""
        return read_exlist(self.lists("exlist"), self.read, self.variables)


def source(connection: Connection, home: Home, name: str) -> Source:
    """What the tables say of an osimage. Raises DefinitionError when genimage cannot make it."""
    values = read_image(connection, name)
    installdir = settings.trees(site_values(connection)).install
    if values.get("provmethod", "netboot") not in METHODS:
        said = f"osimage {name} has provmethod {values['provmethod']}; genimage makes netboot and statelite"
        raise DefinitionError(said)
    return Source(name, values, installdir, home)


def recipe(found: Source) -> Recipe:
    """What genimage makes of it. Raises DefinitionError, naming file and line, and reads every list."""
    values, kind = found.values, found.kind
    packages = found.packages("pkglist")
    if not packages:
        names = " or ".join(list(kind.names("pkglist"))[-2:])
        where = f"{found.installdir}/custom/netboot/{kind.distribution}"
        raise DefinitionError(f"osimage {found.name} has no pkglist: chdef it, or put {names} into {where}")
    scripts_ = scripts(",".join(found.lists("postinstall")), f"postinstall of osimage {found.name}")
    if given := values.get("postinstall"):
        scripts_ = scripts(given, f"postinstall of osimage {found.name}")
    runnable = tuple((str(found.path(script)), *words) for script, *words in scripts_)
    for script, *_ in runnable:
        if not Path(script).is_file():
            raise DefinitionError(f"postinstall of osimage {found.name}: {script} is not there")
    other = values.get("otherpkgdir") or f"{found.installdir}/post/otherpkgs/{kind.osvers}/{kind.osarch}"
    return Recipe(
        name=found.name,
        kind=kind,
        packages=packages,
        others=found.packages("otherpkglist", other=True),
        sources=repositories(found),
        otherpkgdir=found.home.host_path(other),
        scripts=runnable,
        interface=values.get("nodebootif", ""),
        drivers=tuple(word.strip() for word in values.get("netdrivers", "").split(",") if word.strip()),
        kernel=values.get("kernelver", ""),
        variables=found.variables,
        files=shipped_files(),
    )


def repositories(found: Source) -> tuple[str, ...]:
    """linuximage.pkgdir: folders and mirrors; without it the folder that copycds filled, if it is there."""
    kind = found.kind
    named = [part.strip() for part in found.values.get("pkgdir", "").split(",") if part.strip()]
    if not named:
        usual = found.home.host_path(f"{found.installdir}/{kind.osvers}/{kind.osarch}")
        return (str(usual),) if (usual / "dists").is_dir() else ()
    return tuple(str(found.home.host_path(part)) if part.startswith("/") else part for part in named)


def shipped_files() -> dict[str, str]:
    """What every image gets of Serval: path in the image → text."""
    tops = {SHIPPED / "root": "", SHIPPED / "dracut": "usr/lib/dracut/modules.d"}
    files = {"usr/lib/serval/serval-status": STATUS.read_text(encoding="utf-8")}
    for top, below in tops.items():
        for file in sorted(top.rglob("*")):
            if file.is_file():
                files[str(Path(below, file.relative_to(top)))] = file.read_text(encoding="utf-8")
    return files


def build_log(home: Home, job: int) -> Path:
    """The full log of a build or packing."""
    return home.logs / "builds" / f"{job}.log"


@contextmanager
def opened_log(order: Order) -> Iterator[BinaryIO]:
    """The log of this job, for its owner alone."""
    file = build_log(order.home, order.job)
    make_folder(file.parent)
    try:
        with file.open("ab") as log_:
            file.chmod(0o600)
            yield log_
    except OSError as error:
        raise UnavailableError(f"{error.filename or file}: {error.strerror}") from error


def telling(order: Order) -> Tell:
    """Writes each step as an event of the job."""

    def tell(percent: int, text: str) -> None:
        try:
            with writing(order.engine) as connection:
                events.record(
                    connection,
                    order.job,
                    time.time(),
                    STEP,
                    f"{percent} % {text}",
                    attempt=order.attempt or None,
                )
        except UnavailableError as error:
            log.warning("job %d: %s", order.job, error.message)

    return tell


def carried_out(order: Order, act: Callable[[Jail, Tell], str]) -> Said:
    """Do it with a log; what is said ends the node, and an error is in the log too."""
    with opened_log(order) as file:
        try:
            text = act(Jail(file, order.given_up), telling(order))
        except ServalError as error:
            file.write(f"{error.message}\n".encode())
            raise RequestError(f"{error.message}. The log: serval log {order.job}") from error
    return Said(texts=dict.fromkeys(order.nodes, text))


def genimage(order: Order) -> Said:
    """The hand that makes the root tree of `image`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"])
    wanted = recipe(found)

    def act(jail: Jail, tell: Tell) -> str:
        built = build(
            wanted, found.folder, jail, tell,
            fresh="fresh" in details, only_initrd="onlyinitrd" in details,
        )  # fmt: skip
        if built.unchanged:
            return f"{found.name} is unchanged in {found.folder}; genimage --fresh builds it anew"
        return f"{found.name}: {len(built.record.packages)} packages in {found.folder}"

    return carried_out(order, act)


def packimage(order: Order) -> Said:
    """The hand that packs the root tree of `image`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"])
        known = dict(passwords(connection, "system"))
    password = known.get("root", "")
    wanted = Wanted(
        Method(details["method"]), Compression(details["compression"]), found.excludes(), password
    )

    def act(jail: Jail, tell: Tell) -> str:
        record, gone = pack(found.folder, wanted, jail, tell)
        said = f"{found.folder / record.file}: {record.size >> 20} MB, sha256 {record.sha256[:16]}"
        if not password:
            said += "; root has no password, for passwd has no row key=system username=root"
        if gone:
            said += f"; {', '.join(gone)} is gone: run nodeset for the nodes that booted it"
        return said

    return carried_out(order, act)


def sweep_builds(home: Home, engine: Engine) -> list[str]:
    """At the start of a worker: remove what builds that were killed have left; the folders."""
    found = []
    with reading(engine) as connection:
        sources = images(connection, home)
    for one in sources:
        try:
            folder = one.folder
        except RequestError:
            continue
        if sweep(folder):
            found.append(str(folder))
    return found


def images(connection: Connection, home: Home) -> list[Source]:
    """Every osimage that genimage can make."""
    installdir = settings.trees(site_values(connection)).install
    rows = read_rows(connection, "osimage")
    return [
        Source(name, values, installdir, home)
        for name, values in rows.items()
        if values.get("provmethod", "netboot") in METHODS
    ]


HANDS: dict[str, Hand] = {"genimage": genimage, "packimage": packimage}
