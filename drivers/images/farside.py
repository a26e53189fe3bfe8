"""genimage on another machine, that machine's side: started over ssh, out of the parcel, as root.

It reads what BOOT (drivers/images/remote.py) left of its standard input, which is nothing but signs of life:
when they end, so does the build. It answers in frames, a line of JSON each: `{"log": TEXT}`,
`{"step": [PERCENT, TEXT]}`, `{}` as its own sign of life, and at the end `{"error": CLASS, "message": …}` or
`{"record": …, "size": …, "sha256": …}`, behind which comes the tree, a tar archive compressed by zstd.
"""

import fcntl
import hashlib
import json
import os
import platform
import select
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import DefinitionError, ServalError
from drivers.images import parcel
from drivers.images.build import build
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe, folders
from drivers.images.shelf import Shelf
from drivers.images.worker import Worker
from drivers.services.runner import program

BEAT_S = 1.0
#: Without a sign of life for so long the other side is lost.
SILENT_S = 60.0
PIECE = 1 << 16
#: As packimage archives a tree: owners by number, attributes and capabilities.
ARCHIVE = 'tar --create --numeric-owner --xattrs --acls --sparse --directory="$1" . | zstd -q -T0 -3 -o "$2"'


@dataclass(slots=True)
class Line:
    """The line to the other side; frames of two threads do not mix."""

    out: BinaryIO
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def frame(self, told: Mapping[str, Any]) -> None:
        """Send one frame; when nobody is there, the build ends."""
        try:
            with self._lock:
                self.out.write(json.dumps(told).encode() + b"\n")
                self.out.flush()
        except OSError:
            self.stop.set()

    def step(self, percent: int, text: str) -> None:
        """Say what comes."""
        self.frame({"step": [percent, text]})

    def listen(self) -> None:
        """Watch the signs of life of the other side."""
        heard = time.monotonic()
        while not self.stop.is_set():
            if select.select([0], [], [], BEAT_S)[0]:
                if not os.read(0, PIECE):
                    break
                heard = time.monotonic()
            if time.monotonic() > heard + SILENT_S:
                break
        self.stop.set()

    def follow(self, log: Path, done: threading.Event) -> None:
        """Send what is added to the log, until it is done and all is sent."""
        with log.open("rb") as file:
            while True:
                last = done.wait(BEAT_S)
                text = file.read().decode("utf-8", "replace")
                self.frame({"log": text} if text else {})
                if last or self.stop.is_set():
                    return

    def send(self, file: Path) -> None:
        """Send a file as it is."""
        with file.open("rb") as source:
            shutil.copyfileobj(source, self.out, PIECE)
        self.out.flush()


def main(folder: Path) -> None:
    """Build what lies in `folder/parcel.zip`, and send it. What goes wrong is said in a frame."""
    line, log, done = Line(sys.stdout.buffer), folder / "log", threading.Event()
    log.touch(0o600)
    threading.Thread(target=line.listen, daemon=True).start()
    follower = threading.Thread(target=line.follow, args=(log, done))
    follower.start()
    last: dict[str, Any] = {}
    try:
        sweep(folder)
        with log.open("ab") as file:
            last = make(
                parcel.unwrap(folder / "parcel.zip", folder), folder, Jail(file, line.stop.is_set), line
            )
    except ServalError as error:
        last = {"error": type(error).__name__, "message": error.message}
    except OSError as error:
        last = {"error": "UnavailableError", "message": str(error)}
    finally:
        done.set()
        follower.join()
    line.frame(last)
    if "record" in last:
        line.send(folder / "tree")


def make(recipe: Recipe, folder: Path, jail: Jail, line: Line) -> dict[str, Any]:
    """Build and archive the tree; the last frame. Raises ServalError."""
    check(recipe)

    def gather(_: Worker, __: Jail, place: Path) -> None:
        (folder / parcel.WHEELS).rename(place)

    built = build(recipe, folder / "image", jail, line.step, gather=gather)
    line.step(90, "archive of the tree")
    tree = folder / "tree"
    jail.outside(
        "bash", "-o", "pipefail", "-c", ARCHIVE, "archive", str(Shelf(folder / "image").root), str(tree)
    )
    with tree.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    line.step(92, f"{tree.stat().st_size >> 20} MB go to the management node")
    return {"record": asdict(built.record), "size": tree.stat().st_size, "sha256": digest}


def check(recipe: Recipe) -> None:
    """Raises ServalError when this machine cannot build it."""
    for name, package in (("bash", "bash"), ("tar", "tar"), ("zstd", "zstd")):
        program(name, package)
    if recipe.kind.osarch != platform.machine():
        said = f"this machine is {platform.machine()}; the image is for {recipe.kind.osarch}"
        raise DefinitionError(said)
    needed = folders(recipe.sources) + ([recipe.otherpkgdir] if recipe.others else [])
    for place in needed:
        if not place.is_dir():
            raise DefinitionError(f"there is no {place}: mount it from the management node, or name a mirror")


def sweep(own: Path) -> None:
    """Remove what builds that were killed have left beside this one: nobody holds their lock."""
    for other in own.parent.glob(f"{own.name.rpartition('-')[0]}-*"):
        if other == own:
            continue
        try:
            handle = os.open(other, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)
