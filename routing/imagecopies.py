"""A host's copies of images: what is wanted of it is brought, checked and told (docs/adr/0015).

On the management node nothing is brought: its own files are the image, so they are only checked, and served.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import ServalError, UnavailableError
from core.fold import fold
from core.imagedoc import Copy, ImageDoc, Stand, from_text
from core.services import settings
from core.wanted import Change, Kind
from db import imagecopies, wanted
from db.deliveries import Said
from db.engine import Engine, reading, writing
from db.home import Home
from db.lookup import Values, site_values
from db.wanted import Kept
from drivers.images.copies import ImageCopies
from drivers.images.fetch import Server, served
from drivers.images.jail import Cancelled
from drivers.services.mounts import source_of
from routing.services import serve_files
from routing.syncing import Hand, Order, alone, note, own_names

#: How often the database hears how far a fetch is, seconds.
TELL_S = 1.0
HERE = "127.0.0.1"


def open_copies(home: Home, site: Values) -> ImageCopies:
    """The copies of this host."""
    install = home.host_path(settings.trees(site).install)
    return ImageCopies(home.path / "images" / home.name, lambda folder: install / folder.partition("/")[2])


def copy_images(order: Order) -> Said:
    """The hand that makes the images of this host what is wanted."""
    home, engine = order.home, order.engine
    with alone(home, Kind.IMAGE):
        with reading(engine) as connection:
            site = site_values(connection)
            newest = wanted.last(connection, Kind.IMAGE)
            changes = wanted.changes(connection, Kind.IMAGE, own_names(home), 0)
        copies = open_copies(home, site)
        run = Copying(home, engine, site, copies, order.given_up)
        problems = {one.name: problem for one in changes if (problem := run.follow(one))}
        if not problems:
            copies.reached(newest)
        note(order, Kind.IMAGE, Kept(copies.revision(), problems))
    told = "; ".join(f"{image}: {problem}" for image, problem in problems.items())
    if told:
        return Said(problems=dict.fromkeys(order.nodes, told))
    there = fold(copies.held) or "none"
    return Said(texts=dict.fromkeys(order.nodes, f"images: {there}"))


@dataclass(slots=True)
class Copying:
    """One run on this host."""

    home: Home
    engine: Engine
    site: Values
    copies: ImageCopies
    given_up: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic
    _told: float = field(default=float("-inf"))

    @property
    def is_mn(self) -> bool:
        """Whether this is where images come from."""
        return self.home.name == self.home.mn

    def follow(self, change: Change) -> str:
        """Make one image what is wanted; what went wrong, empty for nothing."""
        try:
            if change.document is None:
                self._drop(change.name)
            else:
                self._have(from_text(change.document))
        except ServalError as error:
            return error.message
        return ""

    def _drop(self, image: str) -> None:
        self.copies.drop(image)
        with writing(self.engine) as connection:
            imagecopies.forget(connection, self.home.name, image)

    def _have(self, doc: ImageDoc) -> None:
        old, others = self._said(doc)
        coming = replace(old, coming=doc.version, percent=0, problem="")
        if old.stand(doc.version) is not Stand.CURRENT:
            self._note(coming)

        def tell(there: int) -> None:
            if self.given_up():
                raise Cancelled(f"{doc.image} was not brought to its end")
            if self.clock() - self._told >= TELL_S:
                self._note(replace(coming, percent=there * 100 // max(doc.size, 1)))

        may_fetch = not self.is_mn and ":" not in source_of(self._installdir)
        try:
            self.copies.keep(doc, self._servers(others), tell, may_fetch=may_fetch)
            if self.is_mn:
                self._serve(doc)
        except ServalError as error:
            self._note(replace(coming, problem=error.message))
            raise
        since = old.since if old.version == doc.version else time.time()
        self._note(Copy(doc.image, self.home.name, doc.version, doc.size, since))

    def _said(self, doc: ImageDoc) -> tuple[Copy, list[str]]:
        """What this host said of an image before, and who else has this version."""
        with reading(self.engine) as connection:
            copies = imagecopies.copies(connection, [doc.image])[doc.image]
        own = copies.pop(self.home.name, Copy(doc.image, self.home.name))
        copies.pop(self.home.mn, None)
        return own, [name for name, one in copies.items() if one.stand(doc.version) is Stand.CURRENT]

    def _note(self, copy: Copy) -> None:
        with writing(self.engine) as connection:
            imagecopies.note(connection, replace(copy, at=time.time()))
        self._told = self.clock()

    @property
    def _installdir(self) -> Path:
        return self.home.host_path(settings.trees(self.site).install)

    def _servers(self, others: Sequence[str]) -> list[Server]:
        """Where an image is to be had: the management node, and after it whoever has it already."""
        own = (self.home.server or "").rpartition(":")[0]
        master = self.site.get("master", "").strip() or own or self.home.mn
        port = settings.trees(self.site).http_port
        return [Server(host, port) for host in (settings.host(master, "site.master"), *others)]

    def _serve(self, doc: ImageDoc) -> None:
        """Let the web server run, unless somebody's serves the image already."""
        here = Server(HERE, settings.trees(self.site).http_port)
        file = doc.files[0]
        if not served(here, f"/{doc.folder}/{file.name}", file.size):
            return
        serve_files(self.home, self.engine)
        if wrong := served(here, f"/{doc.folder}/{file.name}", file.size):
            raise UnavailableError(f"service nodes cannot fetch it from here: {wrong}")


def announce_copies(home: Home, engine: Engine) -> None:
    """At the start of a worker: say which revision its copies are at, and take back what is not true."""
    with reading(engine) as connection:
        site = site_values(connection)
        told = wanted.have(connection, Kind.IMAGE).get(home.name, Kept(0))
        said = imagecopies.of_sn(connection, home.name)
    copies = open_copies(home, site)
    held, revision = copies.held, copies.revision()
    with writing(engine) as connection:
        for image, copy in said.items():
            if image not in held or held[image].version != copy.version:
                imagecopies.forget(connection, home.name, image)
        if told.revision != revision:
            wanted.keep(connection, Kind.IMAGE, home.name, time.time(), Kept(revision))


HANDS: dict[str, Hand] = {Kind.IMAGE: copy_images}
