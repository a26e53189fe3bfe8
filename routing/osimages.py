"""An osimage as the tables and its lists describe it: what genimage and packimage are given.

The command reads all of it before it makes the job, so a list that cannot be read is said at once; the worker
reads it again.
"""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError
from core.images.exlist import Excludes, read_exlist
from core.images.pkglist import Transaction, read_pkglist
from core.images.sources import Kind, find, listed, scripts
from core.nodeset.files import INSTALL, served
from core.nodeset.images import PLAIN
from core.services import settings
from db.definitions import read_rows
from db.engine import Connection
from db.home import Home
from db.images import read_image
from db.lookup import site_values
from drivers.images.ownwheel import worker_for
from drivers.images.recipe import Recipe

#: What Serval ships for images.
SHIPPED = Path(__file__).resolve().parents[1] / "deploy" / "images"
STATUS = SHIPPED.parent / "node" / "serval-status"
METHOD = "netboot"
#: As media of EL have them.
KEYS = "RPM-GPG-KEY*"
INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
#: What a tree of genimage can become.
METHODS = (METHOD, "statelite")
#: The profile of service nodes: its images have Serval's worker.
SERVICE = "service"
#: Attributes with files → the ending of the file that is looked for when they are not set.
LISTS = {
    "pkglist": "pkglist",
    "exlist": "exlist",
    "otherpkglist": "otherpkgs.pkglist",
    "postinstall": "postinstall",
    "template": "tmpl",
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
        of = INSTALL if self.values.get("provmethod") == INSTALL else METHOD
        tops = (f"{self.installdir}/custom/{of}", str(SHIPPED / of))
        # A link to nothing is found too, and cannot be read: else the shipped list would come in its place.
        found = find(self.kind, LISTS[attribute], tops, lambda named: os.path.lexists(self.path(named)))
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


def source(connection: Connection, home: Home, name: str, methods: Collection[str] = METHODS) -> Source:
    """What the tables say of an osimage. Raises DefinitionError for one of another provmethod."""
    values = read_image(connection, name)
    installdir = settings.trees(site_values(connection)).install
    if (method := values.get("provmethod", METHOD)) not in methods:
        made = (
            "genimage, then packimage for netboot or liteimg for statelite, make images of other provmethods"
        )
        raise DefinitionError(
            f"osimage {name} has provmethod {method}, and {' or '.join(methods)} is needed: {made}"
        )
    return Source(name, values, installdir, home)


def recipe(found: Source) -> Recipe:
    """What genimage makes of it. Raises DefinitionError, naming file and line, and reads every list."""
    values, kind = found.values, found.kind
    packages = found.packages("pkglist")
    if not packages and (lists := found.lists("pkglist")):
        raise DefinitionError(f"osimage {found.name}: there is no package in {', '.join(lists)}")
    if not packages:
        names = " or ".join(list(kind.names("pkglist"))[-2:])
        where = f"{found.installdir}/custom/netboot/{kind.distribution}"
        raise DefinitionError(f"osimage {found.name} has no pkglist: chdef it, or put {names} into {where}")
    given = values.get("postinstall", "")
    scripts_ = scripts(given, f"postinstall of osimage {found.name}")
    if not given:
        scripts_ = tuple((file,) for file in found.lists("postinstall"))
    runnable = tuple((str(found.path(script)), *words) for script, *words in scripts_)
    for script, *_ in runnable:
        if not Path(script).is_file():
            raise DefinitionError(f"postinstall of osimage {found.name}: {script} is not there")
    kernel = values.get("kernelver", "")
    if kernel and not PLAIN.fullmatch(kernel):
        raise DefinitionError(f"kernelver of osimage {found.name} is {kernel[:80]!r}; it is one plain word")
    is_service = kind.profile == SERVICE
    other = values.get("otherpkgdir") or f"{found.installdir}/post/otherpkgs/{kind.osvers}/{kind.osarch}"
    return Recipe(
        name=found.name,
        kind=kind,
        packages=packages,
        others=found.packages("otherpkglist", other=True),
        sources=repositories(found),
        otherpkgdir=found.home.host_path(other),
        keys=keys(found),
        scripts=runnable,
        interface=values.get("nodebootif", ""),
        drivers=drivers(found),
        kernel=kernel,
        variables=found.variables,
        files=shipped_files(is_service=is_service) | other_interfaces(found),
        worker=worker_for(kind.osvers, kind.osarch) if is_service else None,
    )


def drivers(found: Source) -> tuple[str, ...]:
    """linuximage.netdrivers."""
    return tuple(word.strip() for word in found.values.get("netdrivers", "").split(",") if word.strip())


def other_interfaces(found: Source) -> dict[str, str]:
    """The file that brings linuximage.otherifce up by DHCP, such as ib0: path in the image → text.

    All Ethernet interfaces come up without it. Raises DefinitionError.
    """
    names = [word.strip() for word in found.values.get("otherifce", "").split(",") if word.strip()]
    for name in names:
        if not INTERFACE.fullmatch(name):
            raise DefinitionError(
                f"otherifce of osimage {found.name}: {name[:40]!r} is no name of an interface"
            )
    text = f"[Match]\nName={' '.join(names)}\n\n[Network]\nDHCP=yes\n"
    return {"etc/systemd/network/81-serval-otherifce.network": text} if names else {}


def keys(found: Source) -> tuple[Path, ...]:
    """The site's public keys of packages, beside its lists."""
    top = found.home.host_path(f"{found.installdir}/custom/netboot")
    keys_ = (path for folder in found.kind.folders for path in sorted((top / folder).glob(KEYS)))
    return tuple(path for path in keys_ if path.is_file())


def repositories(found: Source) -> tuple[str, ...]:
    """linuximage.pkgdir: folders and mirrors; without it the folder that copycds filled, if it is there."""
    kind = found.kind
    named = [part.strip() for part in found.values.get("pkgdir", "").split(",") if part.strip()]
    if not named:
        usual = found.home.host_path(f"{found.installdir}/{kind.osvers}/{kind.osarch}")
        filled = any(found for mark in ("dists", "repodata", "*/repodata") for found in usual.glob(mark))
        return (str(usual),) if filled else ()
    return tuple(str(found.home.host_path(part)) if part.startswith("/") else part for part in named)


def shipped_files(*, is_service: bool) -> dict[str, str]:
    """What every image gets of Serval, and a service node's: path in the image → text."""
    tops = {SHIPPED / "root": "", SHIPPED / "dracut": "usr/lib/dracut/modules.d"}
    if is_service:
        tops[SHIPPED / "worker"] = ""
    files = {"usr/lib/serval/serval-status": STATUS.read_text(encoding="utf-8")}
    for top, below in tops.items():
        for file in sorted(top.rglob("*")):
            if file.is_file():
                files[str(Path(below, file.relative_to(top)))] = file.read_text(encoding="utf-8")
    return files


def images(connection: Connection, home: Home) -> list[Source]:
    """Every osimage that genimage can make."""
    installdir = settings.trees(site_values(connection)).install
    rows = read_rows(connection, "osimage")
    return [
        Source(name, values, installdir, home)
        for name, values in rows.items()
        if values.get("provmethod", METHOD) in METHODS
    ]
