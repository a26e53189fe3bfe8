"""rmimage's steps: an image goes out of service by renames, and is deleted where nobody sees it."""

import re
from pathlib import Path

from core.errors import RequestError
from drivers.images.build import Tell
from drivers.images.jail import need_root
from drivers.images.shelf import Shelf

#: What genimage, packimage and liteimg put into rootimgdir, xCAT's too. What else lies there is not ours.
OURS = re.compile(r"kernel(-statelite)?|initrd(-[a-z]+)?\.gz|\.?rootimg(-statelite)?(\.[a-z.]+)?|image\.json")
MOUNTS = Path("/proc/self/mountinfo")


def remove(folder: Path, tell: Tell) -> list[str]:
    """Remove an image; the names of what was removed, and nothing outside of the folder.

    What is deleted was renamed before, so nobody ever sees a part of it. Raises ServalError.
    """
    need_root()
    if not folder.is_dir():
        return []
    with Shelf(folder).workshop() as place:
        found = sorted(path for path in folder.iterdir() if OURS.fullmatch(path.name))
        refuse_mounts(folder)
        tell(10, "out of service")
        for path in found:
            path.rename(place / path.name)
        tell(20, "removing the files")
    return [path.name for path in found]


def refuse_mounts(folder: Path) -> None:
    """Raises RequestError where something is mounted in a folder: it is no part of the image."""
    top = folder.resolve()
    for line in MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        point = Path(unescaped(line.split(" ")[4]))
        if point != top and point.is_relative_to(top):
            raise RequestError(f"something is mounted on {point}: umount it first")


def unescaped(text: str) -> str:
    """A path of mountinfo (proc(5)): `\\040` is a blank."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
