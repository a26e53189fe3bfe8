"""A management node with one osimage whose files were laid down by hand: nothing is built."""

import hashlib
import itertools
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from commands import Shell

from core.syncspec import Mode
from db import jobs
from db.engine import Engine, open_engine, writing
from db.home import Home, open_home
from db.images import write_image
from db.schema import open_database
from drivers.images.shelf import Record, Shelf
from routing.spread import SpreadAsk, new_job
from routing.syncing import Hand, Order

NAME = "debian12-x86_64-netboot-compute"
VALUES = {
    "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "netboot",
    "imagetype": "linux", "nodebootif": "eth0",
}  # fmt: skip
FILES = {"kernel": b"k" * 1000, "initrd-stateless.gz": b"i" * 2000, "rootimg.sfs": b"s" * 300_000}


@dataclass
class ImageSite:
    """`shell` types commands; `do` is what the worker does for a job of one hand."""

    shell: Shell
    home: Home
    engine: Engine
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def install(self) -> Path:
        """site.installdir on this host."""
        return self.home.host_path("/install")

    def folder(self, profile: str = "compute") -> Path:
        """rootimgdir."""
        return self.install / "netboot/debian12/x86_64" / profile

    def visible(self, profile: str = "compute") -> set[str]:
        """What lies there."""
        folder = self.folder(profile)
        return {path.name for path in folder.iterdir()} - {".lock"} if folder.is_dir() else set()

    def lay_down(self) -> Shelf:
        """The definition, and the files of a packed image with a tree."""
        with writing(self.engine) as connection:
            write_image(connection, NAME, VALUES)
        shelf = Shelf(self.folder())
        (shelf.root / "etc").mkdir(parents=True)
        (shelf.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        for name, content in FILES.items():
            (shelf.folder / name).write_bytes(content)
        content = FILES["rootimg.sfs"]
        packed = hashlib.sha256(content).hexdigest()
        made = Record(NAME, "d", "boot/k", "boot/i", 1.0, {"bash": "5"})
        shelf.note(replace(made, file="rootimg.sfs", sha256=packed, size=len(content), packed=2.0))
        return shelf

    def do(self, kind: str, hand: Hand, **details: str) -> str:
        """The answer of a hand to a job of its own."""
        ask = SpreadAsk(f"r{next(self.numbers)}", kind, kind, "t", (kind,), {"mn1": ("mn1",)})
        with writing(self.engine) as connection:
            number = jobs.enter(connection, new_job(ask), time.time())
        order = Order(self.home, self.engine, ["mn1"], Mode.APPLY, number, 0, details)
        return hand(order).texts["mn1"]


def sqlite_env(template: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a site on SQLite, for what has nothing to do with databases."""
    file = tmp_path / "serval.db"
    file.write_bytes(template.read_bytes())
    return {**os.environ, "SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": f"sqlite:///{file}"}


def image_site(env: dict[str, str], tmp_path: Path) -> ImageSite:
    """A site with nodes n1 to n4."""
    whole = env | {"SERVAL_ROOT": str(tmp_path / "root")}
    home, engine = open_home(whole), open_database(whole)
    made = ImageSite(Shell(whole, tmp_path), home, open_engine(home.database))
    engine.dispose()
    made.shell.ok("mkdef -t node -o n[1-4] groups=compute")
    return made
