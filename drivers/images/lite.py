"""liteimg's steps: the statelite form of an image, in a tree of its own beside the one that genimage made.

Its files are hard links to those of the first tree, so it takes a second and little space, a new one needs
nothing of the last undone, and the stateless form is not touched. A tree that is replaced is kept as
`.rootimg-statelite.old` until the next time: nodes that have it for their root go on with it.
"""

import shutil
from pathlib import Path

from core.errors import DefinitionError
from core.images.statelite import Entry, Lite
from core.nodeset.files import LITE_INITRD, LITE_KERNEL, LITE_PARCEL, LITE_ROOT
from drivers.images import dracut
from drivers.images.build import DISTRIBUTIONS, Tell, explained, put_files
from drivers.images.jail import Jail, need_root
from drivers.images.pack import Compression, Method, Wanted, hashed, list_files, run, set_password
from drivers.images.recipe import Recipe
from drivers.images.shelf import Shelf, clear, exchange

STATE = ".statelite"
ORIGINALS = ".default"
OLD = f".{LITE_ROOT}.old"
#: Mounted by the initial RAM disk, below STATE.
MOUNTS = ("tmpfs", "persistent", "localdisk")


def make(
    recipe: Recipe,
    lite: Lite,
    folder: Path,
    jail: Jail,
    tell: Tell,
    *,
    password: str,
    packed: Wanted | None,
    spread: bool = False,
) -> Path:
    """Make the statelite form of the tree in `folder`; the root that is in service then.

    It is a tree that nodes mount over NFS, with `spread` also as an archive for service nodes; or with
    `packed` a file that nodes have in memory. Raises ServalError, and then everything is as it was.
    """
    need_root()
    shelf = Shelf(folder)
    if not shelf.root.is_dir():
        raise DefinitionError(f"{shelf.root} is not there: run genimage first")
    if not shelf.record().kernel:
        raise DefinitionError(f"{shelf.root} was not made by genimage: run it first")
    distribution = DISTRIBUTIONS[recipe.kind.distribution]
    with shelf.workshop() as place:
        root = place / LITE_ROOT
        tell(5, "a tree of links to the files of rootimg")
        with explained(distribution, recipe):
            jail.outside("cp", "-al", "--", str(shelf.root), str(root))
        tell(15, f"{len(lite.entries)} rows of litefile, {len(lite.trees)} of litetree")
        with explained(distribution, recipe):
            furnish(root, lite, jail)
        if password:
            set_password(root, hashed(password))
        put_files(root, recipe)
        tell(20, "initial RAM disk")
        with explained(distribution, recipe):
            initrd = dracut.build(jail, recipe, root, dracut.release(root, recipe.kernel), dracut.STATELITE)
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        initrd.rename(place / LITE_INITRD)
        shutil.copyfile(shelf.root / shelf.record().kernel, place / LITE_KERNEL)
        made = folder / LITE_ROOT
        if packed:
            tell(70, f"archive method:{packed.method} compress method:{packed.compression}")
            made = folder / packed.name.replace("rootimg", LITE_ROOT)
            list_files(root, place / "names", packed)
            run(jail, root, place / "names", place / made.name, packed)
        elif spread:
            tell(70, "archive for service nodes")
            archive(jail, root, place)
        tell(95, "putting it into service")
        if packed:
            shelf.put(place / made.name, made.name)
        else:
            put_tree(root, made, folder / OLD)
        _put_beside(shelf, place)
    return made


def _put_beside(shelf: Shelf, place: Path) -> None:
    """Put what goes with a root into service: its archive, if it has one, kernel and RAM disk."""
    if (place / LITE_PARCEL).exists():
        shelf.put(place / LITE_PARCEL, LITE_PARCEL)
    else:
        (shelf.folder / LITE_PARCEL).unlink(missing_ok=True)  # of an earlier tree
    for name in (LITE_KERNEL, LITE_INITRD):
        shelf.put(place / name, name)


def archive(jail: Jail, root: Path, place: Path) -> None:
    """Write the archive by which a root gets to service nodes (drivers/images/rootcopy.py)."""
    whole = Wanted(Method.TAR, Compression.ZSTD)
    list_files(root, place / "names", whole)
    run(jail, root, place / "names", place / LITE_PARCEL, whole)


def furnish(root: Path, lite: Lite, jail: Jail) -> None:
    """Give a tree what its nodes need to lay their files over it. Raises DefinitionError, naming the row."""
    state, originals = root / STATE, root / ORIGINALS
    for folder in (*MOUNTS, *(f"tree/{number}" for number in range(1, len(lite.trees) + 1))):
        (state / folder).mkdir(parents=True)
    originals.mkdir(mode=0o700)
    for entry in lite.entries:
        _make_path(root, originals, entry)
        _keep_original(root, originals, entry, jail)
    for name, text in lite.files().items():
        (state / name).write_text(text, encoding="utf-8")
    (root / "etc/hostname").touch()  # its name, which nodeset wrote, is mounted over it


def _make_path(root: Path, originals: Path, entry: Entry) -> None:
    """Make a path where the image has none, with the folders that lead to it, among the originals too."""
    what = f"litefile {entry.path!r}"
    path = root / entry.path[1:]
    for above in reversed(path.relative_to(root).parents[:-1]):
        _folder(root / above, originals / above, f"{what}: /{above}")
    if path.is_symlink():
        if not entry.link:
            raise DefinitionError(f"{what} is a link to {path.readlink()}: name that, or use the option link")
    elif not path.exists():
        path.mkdir() if entry.folder else path.touch()
    elif path.is_dir() != entry.folder:
        said = (
            "a folder, which is written with / at its end"
            if path.is_dir()
            else "no folder: write no / at its end"
        )
        raise DefinitionError(f"{what} is {said}")


def _keep_original(root: Path, originals: Path, entry: Entry, jail: Jail) -> None:
    """Put a path among the originals; in its place, a link to where the node has it, if that is asked."""
    path, kept = root / entry.path[1:], originals / entry.path[1:]
    if entry.link:
        path.rename(kept)
        mount = entry.kind if entry.kind in MOUNTS else MOUNTS[0]
        path.symlink_to(f"/{STATE}/{mount}{entry.path}")
    else:
        jail.outside("cp", "-al", "--", str(path), str(kept))


def _folder(there: Path, kept: Path, what: str) -> None:
    """A folder that leads to a path, in the tree and with owner and mode among the originals."""
    if there.is_symlink() or (there.exists() and not there.is_dir()):
        raise DefinitionError(f"{what} is no folder of the image but a link or a file: name the place itself")
    there.mkdir(exist_ok=True)
    if not kept.exists():
        kept.mkdir()
        shutil.copystat(there, kept)
        shutil.chown(kept, there.stat().st_uid, there.stat().st_gid)


def put_tree(new: Path, there: Path, old: Path) -> None:
    """Put a tree into service; the one before is kept as `old`."""
    clear(old)
    if there.exists():
        exchange(new, there)
        new.rename(old)
    else:
        new.rename(there)
