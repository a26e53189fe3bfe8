"""genimage's steps: packages, scripts, RAM disk, and the whole into service.

The tree that is in service stays there until the new one is whole. Kernel and RAM disk belong to the packed
image: they go into service with it, and by genimage itself only where nothing is packed yet (an NFS root).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import DefinitionError, UnavailableError
from core.images.pkglist import Entry
from core.images.sources import Kind
from drivers.images import reuse, worker
from drivers.images.debian import Debian
from drivers.images.dnf import Dnf
from drivers.images.jail import Failed, Jail, free_space, need_root
from drivers.images.recipe import Cause, Distribution, Recipe
from drivers.images.shelf import Record, Shelf, clear

#: Told before each step: percent of the whole, and what comes.
Tell = Callable[[int, str], None]
#: Puts the wheels of the recipe's worker into a folder that it makes.
Gather = Callable[[worker.Worker, Jail, Path], None]

LEAST_BYTES = 1 << 30
DISTRIBUTIONS: dict[str, Distribution] = {
    **dict.fromkeys(("debian", "ubuntu"), Debian()),
    **dict.fromkeys(("alma", "centos", "fedora", "ol", "rh", "rocky"), Dnf()),
}
#: Of this host or of one machine alone: no image has them.
PERSONAL = ("etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/lib/dbus/machine-id")
UNITS = ("serval-booted.service", "serval-hostkeys.service", "systemd-networkd.service")
UNIT_FOLDERS = ("etc/systemd/system", "usr/lib/systemd/system")
#: Beside the tree.
WHEELS = "wheels"
#: Changed whenever this release makes something else of the same recipe.
EDITION = "1"


def nothing_gathered(wanted: worker.Worker, jail: Jail, folder: Path) -> None:
    """Raises UnavailableError: whoever builds service nodes' images says where the wheels come from."""
    raise UnavailableError(f"nobody has brought the wheels of Serval {wanted.release} to {folder}")


@dataclass(frozen=True, slots=True)
class Built:
    """What became of it."""

    record: Record
    unchanged: bool = False


def build(
    recipe: Recipe,
    folder: Path,
    jail: Jail,
    tell: Tell,
    *,
    fresh: bool = False,
    update: bool | None = None,
    only_initrd: bool = False,
    gather: Gather = nothing_gathered,
) -> Built:
    """Make the root tree of a recipe; nothing is done for one that is there already, unless `fresh`.

    With `update` its packages are brought to their newest versions; False: not even when lists have changed.
    With `only_initrd` the tree that is there gets a new RAM disk. `gather` brings the wheels of the recipe's
    worker, before anything that takes long.
    Raises ServalError, and then everything is as it was.
    """
    need_root()
    distribution = distribution_of(recipe.kind)
    shelf = Shelf(folder)
    with shelf.workshop() as place:
        free_space(place, LEAST_BYTES)
        before = shelf.record()
        if only_initrd:
            return _only_initrd(recipe, distribution, shelf, place, jail, tell)
        if not fresh and not update and is_current(shelf, recipe):
            return Built(before, unchanged=True)
        whole = (shelf.root / before.initrd).is_file()
        old = None if fresh or not whole else reuse.gone(before, recipe, EDITION)
        root = place / "rootimg"
        if recipe.worker:
            tell(1, "wheels of Serval's worker")
            gather(recipe.worker, jail, place / WHEELS)
        with explained(distribution, recipe):
            base: Sequence[str]
            if old is None:
                base = _begin(recipe, distribution, root, jail, tell)
            else:
                base = before.base
                _again(recipe, distribution, shelf, root, old, jail, tell, newest=update is not False)
            kernel, initrd = complete(recipe, distribution, root, jail, tell)
        record = replace(
            before, name=recipe.name, digest=recipe.digest(EDITION), kernel=kernel, initrd=initrd,
            built=time.time(), packages=distribution.installed(root),
            rest=reuse.rest(recipe, EDITION), lists=reuse.listed(recipe), base=base,
        )  # fmt: skip
        put_into_service(shelf, place, before, record, root, tell)
    return Built(record)


def is_current(shelf: Shelf, recipe: Recipe) -> bool:
    """Whether the tree in service was made of this recipe."""
    record = shelf.record()
    return record.digest == recipe.digest(EDITION) and (shelf.root / record.initrd).is_file()


def put_into_service(
    shelf: Shelf, place: Path, before: Record, record: Record, root: Path, tell: Tell
) -> None:
    """Let a finished tree take the place of the one `before`, which goes with the workshop."""
    tell(95, "putting it into service")
    make_impersonal(root)
    shelf.note(replace(before, digest="", base=()))  # in case that we are killed before the next note
    shelf.put_root(root)
    shelf.note(record)
    if not shelf.packed():
        shelf.put_boot(place, record)
    tell(97, "removing what it replaces")


def distribution_of(kind: Kind) -> Distribution:
    """Who builds images of this kind. Raises DefinitionError when nobody does."""
    found = DISTRIBUTIONS.get(kind.distribution)
    if found is None:
        known = ", ".join(DISTRIBUTIONS)
        raise DefinitionError(f"images of {kind.osvers} cannot be built yet; known are {known}")
    return found


def _begin(recipe: Recipe, distribution: Distribution, root: Path, jail: Jail, tell: Tell) -> list[str]:
    """From nothing to a tree with all packages; those of the base system."""
    tell(2, "base system")
    distribution.begin(jail, recipe, root)
    base = sorted(distribution.installed(root))
    _install(recipe, distribution, root, jail, tell)
    return base


def _again(
    recipe: Recipe,
    distribution: Distribution,
    shelf: Shelf,
    root: Path,
    gone: Sequence[str],
    jail: Jail,
    tell: Tell,
    *,
    newest: bool,
) -> None:
    """The same from a copy of the tree in service."""
    tell(2, "copy of the tree in service")
    jail.outside("cp", "--archive", "--reflink=auto", "--", str(shelf.root), str(root))
    if recipe.worker:
        clear(root / worker.HOME.removeprefix("/"))
    tell(10, "newest versions of its packages" if newest else "packages that are gone from the lists")
    distribution.refresh(jail, recipe, root, gone, newest=newest)
    _install(reuse.once_removed(recipe, shelf.record()), distribution, root, jail, tell)
    distribution.tidy(jail, recipe, root)


def _install(recipe: Recipe, distribution: Distribution, root: Path, jail: Jail, tell: Tell) -> None:
    """The transactions of the lists."""
    blocks = [(block, False) for block in recipe.packages] + [(block, True) for block in recipe.others]
    for number, (block, other) in enumerate(blocks):
        tell(30 + 40 * number // len(blocks), f"packages, transaction {number + 1} of {len(blocks)}")
        distribution.install(jail, recipe, root, block, other=other)


def complete(
    recipe: Recipe, distribution: Distribution, root: Path, jail: Jail, tell: Tell
) -> tuple[str, str]:
    """All steps behind the packages; kernel and RAM disk relative to the root."""
    tell(70, "Serval's files")
    put_files(root, recipe)
    if recipe.worker:
        tell(71, "Serval's worker")
        worker.install(recipe.worker, jail, root, root.parent / WHEELS)
    units = [unit for unit in UNITS if any((root / place / unit).is_file() for place in UNIT_FOLDERS)]
    jail.inside(root, "systemctl", "enable", *units)
    for number, script in enumerate(recipe.scripts):
        tell(72 + 5 * number // len(recipe.scripts), f"postinstall {script[0]}")
        kind = recipe.kind
        usual = (str(root), kind.osvers, kind.osarch, kind.profile)
        jail.outside(script[0], *usual, *script[1:], env=dict(recipe.variables))
    tell(77, "initial RAM disk")
    kernel, initrd = distribution.initrd(jail, recipe, root)
    distribution.finish(jail, root)
    return str(kernel.relative_to(root)), str(initrd.relative_to(root))


def _only_initrd(
    recipe: Recipe, distribution: Distribution, shelf: Shelf, place: Path, jail: Jail, tell: Tell
) -> Built:
    if not shelf.root.is_dir():
        raise DefinitionError(f"{shelf.root} is not there; run genimage without --onlyinitrd first")
    tell(20, "initial RAM disk")
    with explained(distribution, recipe):
        put_files(shelf.root, recipe)
        kernel, initrd = distribution.initrd(jail, recipe, shelf.root)
    (shelf.root / "etc/resolv.conf").unlink(missing_ok=True)
    made = [str(path.relative_to(shelf.root)) for path in (kernel, initrd)]
    shelf.put_boot(place, Record(kernel=made[0], initrd=made[1]))
    return Built(shelf.record())


def put_files(root: Path, recipe: Recipe) -> None:
    """Write the recipe's files into the tree; scripts are executable."""
    for name, text in recipe.files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755 if text.startswith("#!") else 0o644)


def make_impersonal(root: Path) -> None:
    """Take out what belongs to one machine: names, identity, SSH host keys."""
    for name in PERSONAL:
        (root / name).unlink(missing_ok=True)
    (root / "etc/machine-id").touch(0o444)  # empty: made at the first boot, in memory
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


@contextmanager
def explained(distribution: Distribution, recipe: Recipe) -> Iterator[None]:
    """A program that failed as a sentence that names the line of the list, the mirror, or the program."""
    try:
        yield
    except Failed as failed:
        cause = distribution.cause(failed.said)
        listed = [entry for block in (*recipe.packages, *recipe.others) for entry in block.entries]
        raise _as_error(failed, cause, listed) from None


def _as_error(failed: Failed, cause: Cause, listed: Sequence[Entry]) -> DefinitionError | UnavailableError:
    if cause.package:
        meant = (entry for entry in listed if cause.package in (entry.name, entry.name.split("=")[0]))
        entry = next(meant, Entry(cause.package, "the base system"))
        return DefinitionError(f"{entry.place}: there is no package {entry.name} in the image's repositories")
    if failed.is_full:
        return UnavailableError("no space is left on the file system of rootimgdir")
    if cause.sentence:
        return UnavailableError(cause.sentence)
    last = [line for line in failed.said.splitlines() if line.strip()][-1:]
    said = f": {last[0].strip()[:300]}" if last else ""
    return UnavailableError(f"{failed.command[0]} ended with status {failed.status}{said}")
