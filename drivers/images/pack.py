"""packimage's steps: a root tree becomes one file, beside the one in service, and then takes its place."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.errors import DefinitionError, UnavailableError
from core.images.exlist import Excludes
from drivers.files import write_whole
from drivers.images.build import Tell
from drivers.images.jail import Failed, Jail, free_space, need_root
from drivers.images.shelf import ROOT, Record, Shelf, with_pack
from drivers.services.runner import program

LEAST_BYTES = 256 << 20
#: A hash of crypt(3); of anything else, openssl makes one.
HASH = re.compile(r"\$[0-9a-z]{1,8}\$[A-Za-z0-9./$=,-]{8,200}")
#: The extended attribute of programs that may do more than who starts them; of ping.
CAPABILITY = "security.capability"
#: Has its own place outside of the tree.
OWN = ("./boot/initrd-stateless.gz",)


class Method(StrEnum):
    """The form of the image."""

    CPIO = "cpio"
    TAR = "tar"
    SQUASHFS = "squashfs"


class Compression(StrEnum):
    """How it is compressed; gzip by pigz where that is installed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"


ENDS = {Compression.GZIP: "gz", Compression.ZSTD: "zst", Compression.XZ: "xz"}
#: Reads names, each with a NUL behind it, from $1.
ARCHIVERS = {
    Method.CPIO: 'cpio --null --create --format=newc --quiet < "$1"',
    Method.TAR: "tar --create --null --no-recursion --numeric-owner --xattrs --acls --sparse "
    '--files-from="$1"',
}
COMPRESSORS = {
    Compression.GZIP: "$GZIP_PROGRAM -c",
    Compression.ZSTD: "zstd -q -T0 -3 -c",
    Compression.XZ: "xz -T0 -c",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an image is packed. `password` is root's, a crypt(3) hash or the word itself."""

    method: Method = Method.SQUASHFS
    compression: Compression = Compression.ZSTD
    excludes: Excludes = field(default_factory=Excludes)
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """`rootimg.sfs`, `rootimg.cpio.gz`."""
        if self.method is Method.SQUASHFS:
            return f"{ROOT}.sfs"
        return f"{ROOT}.{self.method}.{ENDS[self.compression]}"


def pack(folder: Path, wanted: Wanted, jail: Jail, tell: Tell) -> tuple[Record, list[str]]:
    """Pack the root tree; the new record, and the names of images of another form that are gone now.

    Raises ServalError, and then the old image stays in service.
    """
    need_root()
    shelf = Shelf(folder)
    if not shelf.root.is_dir():
        raise DefinitionError(f"{shelf.root} is not there: run genimage first")
    with shelf.workshop() as place:
        free_space(place, LEAST_BYTES)
        tell(5, "root's password")
        if wanted.password:
            set_password(shelf.root, hashed(wanted.password))
        tell(10, "list of files")
        names = place / "names"
        list_files(shelf.root, names, wanted)
        tell(20, f"archive method:{wanted.method} compress method:{wanted.compression}")
        new = place / wanted.name
        run(jail, shelf.root, names, new, wanted)
        tell(90, "hash")
        record = with_pack(shelf.record(), new, wanted.name, time.time())
        if record.kernel:
            shelf.put_boot(place, record)
        shelf.put(new, wanted.name)
        shelf.note(record)
        gone = [path for path in shelf.packed() if path.name != wanted.name]
        for path in gone:
            path.unlink()
    return record, [path.name for path in gone]


def list_files(root: Path, names: Path, wanted: Wanted) -> None:
    """Write the names of what is packed, each with a NUL behind it."""
    excludes = Excludes((*wanted.excludes.out, *OWN), wanted.excludes.keep)
    with names.open("wb") as file:
        file.writelines(plain(path) + b"\0" for path in excludes.kept(walk(root)))


def bared(root: Path, wanted: Wanted) -> list[str]:
    """Programs that lose their file capabilities, for which a cpio archive has no place; relative."""
    found = []
    for path in wanted.excludes.kept(walk(root)) if wanted.method is Method.CPIO else ():
        with suppress(OSError):  # a file system without extended attributes has none to lose
            if CAPABILITY in os.listxattr(root / path, follow_symlinks=False):
                found.append(path.removeprefix("./"))
    return found


def run(jail: Jail, root: Path, names: Path, new: Path, wanted: Wanted) -> None:
    """Archive and compress on all cores."""
    cores = str(os.cpu_count() or 1)
    if wanted.method is Method.SQUASHFS:
        level = " -Xcompression-level 3" if wanted.compression is Compression.ZSTD else ""
        program("mksquashfs", "squashfs-tools")
        options = f"-comp {wanted.compression}{level} -processors {cores} -root-mode 755 -quiet -no-progress"
        line = f'{ARCHIVERS[Method.TAR]} | mksquashfs - "$2" -tar {options}'
    else:
        line = f'{ARCHIVERS[wanted.method]} | {COMPRESSORS[wanted.compression]} > "$2"'
    gzip = f"pigz -p {cores}" if shutil.which("pigz") else "gzip"
    words = ("bash", "-o", "pipefail", "-c", line, "pack", str(names), str(new))
    try:
        jail.outside(*words, env={"GZIP_PROGRAM": gzip}, folder=root)
    except Failed as failed:
        if failed.is_full:
            raise UnavailableError(
                f"no space is left on the file system of {new.parent}; the old image stays"
            ) from None
        last = failed.said.strip().rpartition("\n")[2][:300]
        raise UnavailableError(f"packing ended with status {failed.status}: {last}") from None


def walk(root: Path) -> Iterator[str]:
    """Every path of a tree as `./path`, a folder before what is in it; `.` first."""
    yield "."
    top = str(root)
    for folder, below, files in os.walk(top):
        below.sort()
        inside = f".{folder[len(top) :]}"
        links = [name for name in below if Path(folder, name).is_symlink()]
        if inside != ".":
            yield inside
        yield from (f"{inside}/{name}" for name in sorted([*files, *links]))


def plain(path: str) -> bytes:
    """A path of `walk` as it is archived: mksquashfs does not take hard links to `./path`."""
    return os.fsencode(path.removeprefix("./"))


def set_password(root: Path, crypted: str) -> None:
    """Write root's hash into the tree's shadow. Raises DefinitionError where the tree leads out of itself."""
    shadow = root / "etc/shadow"
    if (root / "etc").is_symlink() or shadow.is_symlink() or not shadow.is_file():
        raise DefinitionError(f"{shadow} is no file: the tree is no whole system")
    lines = shadow.read_text(encoding="utf-8").splitlines()
    fields = [line.split(":") for line in lines]
    new = [":".join(["root", crypted, *one[2:]]) if one[0] == "root" else ":".join(one) for one in fields]
    write_whole(shadow, "\n".join(new) + "\n")


def hashed(password: str, salt: str = "") -> str:
    """A crypt(3) hash: the word itself when it is one. With the same salt it is always the same.

    Raises DefinitionError, UnavailableError.
    """
    if HASH.fullmatch(password):
        return password
    if not password.isprintable():
        raise DefinitionError("the password of passwd key=system holds characters that are not printable")
    command = [program("openssl", "openssl"), "passwd", "-6", *(("-salt", salt) if salt else ()), "-stdin"]
    done = subprocess.run(command, input=password + "\n", capture_output=True, text=True, check=False)
    if done.returncode or not HASH.fullmatch(done.stdout.strip()):
        raise UnavailableError("openssl cannot hash the password of passwd key=system")
    return done.stdout.strip()
