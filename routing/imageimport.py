"""imgimport on the host that builds: a bundle, trusted in nothing, becomes an osimage that nodes can boot.

All of it is unpacked and compared with its manifest in the workshop of the image's folder; then lists, files
and at last the definition take their places. What would run on this host as root, postinstall, is laid down
but not entered.
"""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import RequestError
from core.fold import fold, unfold
from core.images.manifest import BOOT, PORTABLE, Manifest
from core.images.sources import Kind
from core.services import settings
from db.deliveries import Said
from db.engine import Connection, one_writer, reading, writing
from db.home import Home
from db.images import write_image
from db.lookup import site_values
from db.nodes import DatabaseNodes
from db.plain import PlainWriter
from db.upserts import upsert
from drivers.images.build import Tell
from drivers.images.bundle import read_manifest, unpack
from drivers.images.jail import Jail, free_space, need_root
from drivers.images.shelf import ROOT, Record, Shelf
from routing.imagewishes import publish
from routing.imaging import carried_out
from routing.osimages import METHOD, Source
from routing.syncing import Hand, Order

SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """A bundle and what becomes of it here."""

    told: Manifest
    found: Source

    @property
    def lists(self) -> Path:
        """The folder of its lists and scripts on this host."""
        return self.found.path(f"{self._top}/{self.found.name}")

    @property
    def _top(self) -> str:
        return f"{self.found.installdir}/custom/netboot/{self.found.kind.distribution}"

    @property
    def definition(self) -> dict[str, str]:
        """The attributes of the new osimage."""
        named = {name: f"{self._top}/{self.found.name}/{name}" for name in self.told.below("lists").values()}
        return {**self.found.values, **named}

    def places(self) -> dict[str, Path]:
        """Where lists, scripts and extra files go, by their names in the bundle."""
        install = self.found.path(self.found.installdir)
        named = {member: self.lists / member.removeprefix("lists/") for member in self.told.below("lists")}
        named |= {member: self.lists / member for member in self.told.below("scripts")}
        return named | {member: install / path for member, path in self.told.below("extra").items()}


def incoming(connection: Connection, home: Home, told: Manifest, profile: str) -> Incoming:
    """What a bundle becomes here, under another profile if one is given. Raises RequestError."""
    values = {name: told.attributes[name] for name in PORTABLE if told.attributes.get(name)}
    if values.setdefault("provmethod", METHOD) != METHOD:
        raise RequestError(f"the bundle holds an image with provmethod {values['provmethod']}, not {METHOD}")
    name = told.name
    if profile:
        values["profile"] = profile
        name = Kind(values["osvers"], values["osarch"], profile).image_name()
    installdir = settings.trees(site_values(connection)).install
    return Incoming(told, Source(name, values, installdir, home))


def refuse_there(connection: Connection, coming: Incoming) -> None:
    """Raises RequestError when an osimage, an image or a file would be replaced by something else."""
    found = coming.found
    there = [f"osimage {found.name}"] if found.name in _osimages(connection) else []
    if any((found.folder / name).exists() for name in (ROOT, coming.told.root, *BOOT)):
        there.append(f"an image in {found.folder}")
    there += [str(path) for path in coming.places().values() if os.path.lexists(path)]
    if there:
        named = ", ".join(there[:5])
        raise RequestError(f"{named} would be replaced: import it with -f PROFILE, or say --force")


def _osimages(connection: Connection) -> set[str]:
    return PlainWriter(DatabaseNodes(connection), "osimage").existing()


def imgimport(order: Order) -> Said:
    """The hand that takes `bundle` in."""
    details = order.details
    bundle = Path(details["bundle"])
    told = read_manifest(bundle, order.given_up)
    with reading(order.engine) as connection:
        coming = incoming(connection, order.home, told, details.get("profile", ""))
        if "force" not in details:
            refuse_there(connection, coming)

    def act(jail: Jail, tell: Tell) -> str:
        need_root()
        shelf = Shelf(coming.found.folder)
        with shelf.workshop() as place:
            free_space(place, told.size + SPARE_BYTES)
            tell(5, f"unpacking {len(told.files)} files")
            unpack(bundle, place, told, jail.stop)
            tell(80, "putting them into service")
            put(coming, shelf, place)
            define(order, coming, unfold(details.get("nodes", "")))
        having = publish(order.engine, order.home, coming.found.name)
        return said(coming) + (f". It goes to {fold(having)}" if having else "")

    return carried_out(order, act)


def put(coming: Incoming, shelf: Shelf, place: Path) -> None:
    """Put the files of an unpacked bundle where they belong; a tree of another image goes."""
    told, name = coming.told, coming.told.root
    for member, path in coming.places().items():
        refuse_links(path, coming.found.path(coming.found.installdir))
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_name(f".{path.name}.new")
        waiting.unlink(missing_ok=True)
        shutil.copyfile(place / member, waiting)
        waiting.chmod(0o755 if told.files[member].executable else 0o644)
        waiting.replace(path)
    if shelf.root.exists():
        shelf.root.rename(place / "tree")
    shelf.note(Record())
    for part in (*BOOT, name):
        shelf.put(place / "image" / part, part)
    for other in shelf.packed():
        if other.name != name:
            other.unlink()
    packed = told.files[f"image/{name}"]
    shelf.note(
        Record(
            name=coming.found.name, built=told.built, packages=told.packages,
            file=name, sha256=packed.sha256, size=packed.size, packed=time.time(),
        )
    )  # fmt: skip


def refuse_links(path: Path, top: Path) -> None:
    """Raises RequestError for a path that a symbolic link would lead elsewhere."""
    for step in (path, *path.parents):
        if step == top:
            return
        if step.is_symlink():
            raise RequestError(f"{step} is a symbolic link; nothing is imported through it")


def define(order: Order, coming: Incoming, nodes: list[str]) -> None:
    """Write the osimage, whole, and the postscripts of these nodes."""
    named: Mapping[str, str] = coming.told.postscripts
    with writing(order.engine) as connection:
        one_writer(connection)
        PlainWriter(DatabaseNodes(connection), "osimage").remove([coming.found.name])
        write_image(connection, coming.found.name, coming.definition)
        if nodes and named:
            upsert(connection, {"postscripts": {node: dict(named) for node in nodes}})


def said(coming: Incoming) -> str:
    """What people must know."""
    text = f"{coming.found.name} is in {coming.found.folder}; nodeset NODERANGE osimage={coming.found.name}"
    if coming.told.below("scripts"):
        text += (
            f". Its postinstall scripts are in {coming.lists / 'scripts'}: genimage would run them on this "
            "host as root, so read them before you chdef postinstall="
        )
    if extra := coming.told.below("extra"):
        text += f". Extra files below {coming.found.installdir}: {', '.join(sorted(extra.values()))}"
    return text


HANDS: dict[str, Hand] = {"imgimport": imgimport}
