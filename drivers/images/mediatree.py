"""The tree that copycds fills: what was copied is checked, joined with other discs, put into service whole.

The tree in service is never written to. A disc that is added to it goes into a new tree, of hard links to the
old, which then takes its place; so whoever installs meanwhile reads one or the other.
"""

import gzip
import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from core.errors import DefinitionError
from core.images import debindex
from drivers.images.aptindex import index
from drivers.images.jail import Jail
from drivers.images.media import Contents
from drivers.images.shelf import exchange
from drivers.services.runner import program

#: The digests of the discs that a tree was filled from, with commas, as xCAT keeps them.
FINGERPRINT = ".fingerprint"
SIGNED = ("Release", "Release.gpg", "InRelease")


def fingerprint(contents: Contents) -> str:
    """What tells one disc from another: the names and sizes of its files."""
    told = "\n".join(f"{name} {size}" for name, size in sorted(contents.sizes.items()))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def fingerprints(tree: Path) -> list[str]:
    """Of the discs that a tree was filled from."""
    try:
        return [one for one in (tree / FINGERPRINT).read_text(encoding="ascii").split(",") if one]
    except (OSError, UnicodeDecodeError):
        return []


def is_ours(tree: Path) -> bool:
    """Whether a folder is empty, not there, or was filled from discs."""
    return bool(fingerprints(tree)) or not tree.is_dir() or not any(tree.iterdir())


def check(tree: Path) -> None:
    """Let everybody read it, and nobody more. Raises DefinitionError for what no medium has."""
    top = tree.resolve()
    for path in (tree, *_below(tree)):
        name, mode = str(path.relative_to(tree)), path.lstat().st_mode
        if not path.name.isprintable():
            raise DefinitionError(f"the medium has a file with the name {name[:200]!r}; it is refused")
        if stat.S_ISLNK(mode):
            target = str(path.readlink())
            if target.startswith("/") or not Path(os.path.realpath(path)).is_relative_to(top):
                raise DefinitionError(
                    f"the medium has a link {name} to {target[:200]!r}, which leads out of it"
                )
            continue
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise DefinitionError(f"the medium has {name}, which is neither a file nor a folder")
        wanted = 0o755 if stat.S_ISDIR(mode) or mode & 0o111 else 0o644
        if stat.S_IMODE(mode) != wanted:
            path.chmod(wanted)


def _below(tree: Path) -> Iterator[Path]:
    """Everything in a tree; no link is followed."""
    for folder, folders, files in os.walk(tree):
        yield from (Path(folder, name) for name in (*folders, *files))


def joined(tree: Path, new: Path, place: Path, jail: Jail, keep: Collection[str]) -> Path:
    """A tree of all that is in `tree` and in `new`, where that counts; those of `keep` stay as they are.

    Raises DefinitionError when one has a folder where the other has a file.
    """
    both = place / "joined"
    jail.outside("cp", "--archive", "--link", "--", str(tree), str(both))
    indexes, releases, repositories = _indexes(tree, new), _releases(tree, new), _repositories(tree, new)
    _move(new, both, {Path(name) for name in keep if (tree / name).exists()})
    for name, text in indexes.items():
        _write_index(both / name, text)
    for name, texts in releases.items():
        _write_release(both / name, texts)
    for name in repositories:
        folder = both / name
        groups = sorted((tree / name / "repodata").glob("*comps*.xml"))[:1]
        named = [f"--groupfile={groups[0]}"] if groups else []
        jail.outside(program("createrepo_c", "createrepo-c"), "--quiet", "--update", *named, str(folder))
    return both


def put(new: Path, tree: Path) -> None:
    """Put a whole tree into service; the one before goes to where the new one was."""
    new.chmod(0o755)
    if tree.exists():
        exchange(new, tree)
    else:
        new.rename(tree)


def _move(new: Path, to: Path, keep: Collection[Path], below: Path = Path()) -> None:
    """Move what is in `new` to where it belongs in `to`."""
    with os.scandir(new / below) as entries:
        for entry in entries:
            name = below / entry.name
            there = to / name
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and there.is_dir() and not there.is_symlink():
                _move(new, to, keep, name)
                continue
            if os.path.lexists(there) and (is_folder or (there.is_dir() and not there.is_symlink())):
                raise DefinitionError(
                    f"{name} is a folder on one disc and a file on the other: they do not fit"
                )
            if name not in keep:
                Path(entry.path).replace(there)


def _indexes(tree: Path, new: Path) -> dict[Path, str]:
    """Folders whose packages both have indexes of → the joined index; relative."""
    found = {}
    for folder in {path.parent for path in new.glob("dists/*/**/Packages*")}:
        name = folder.relative_to(new)
        texts = [text for top in (tree, new) if (text := index(top / name))]
        if len(texts) > 1:
            found[name] = debindex.packages(texts)
    return found


def _write_index(folder: Path, text: str) -> None:
    for old in folder.glob("Packages*"):
        old.unlink()
    (folder / "Packages").write_bytes(text.encode())
    (folder / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def _releases(tree: Path, new: Path) -> dict[Path, list[str]]:
    """Suites that both have → their two Release files; relative."""
    found = {}
    for file in new.glob("dists/*/Release"):
        name = file.relative_to(new).parent
        if (tree / name / "Release").is_file() and not (new / name).is_symlink():
            files = (top / name / "Release" for top in (tree, new))
            found[name] = [one.read_text(encoding="utf-8", errors="replace") for one in files]
    return found


def _write_release(suite: Path, texts: list[str]) -> None:
    """The Release file that vouches for all indexes of a suite; nobody has signed it."""
    for name in SIGNED:  # what is in service shares these files
        (suite / name).unlink(missing_ok=True)
    files = [path for path in _below(suite) if path.is_file() and path.name not in SIGNED]
    contents = {str(path.relative_to(suite)): path.read_bytes() for path in files}
    (suite / "Release").write_text(debindex.release(texts, contents), encoding="utf-8")


def _repositories(tree: Path, new: Path) -> list[Path]:
    """Folders that are RPM repositories on both, and not the same; relative."""
    found = []
    for file in new.glob("**/repodata/repomd.xml"):
        name = file.relative_to(new)
        if (tree / name).is_file() and (tree / name).read_bytes() != file.read_bytes():
            found.append(name.parent.parent)
    return found


def put_installer(tree: Path, osvers: str, arch: str, images: Path) -> bool:
    """Put Debian's installer for the network into a tree, from its package on this host.

    The installer of a DVD looks for a drive. False: there is none.
    """
    version = osvers.removeprefix("debian").split(".")[0]
    there = tree / "debian-installer" / arch
    here = images / version / arch / "text/debian-installer" / arch
    if (there / "linux").is_file():
        return True
    if not (here / "linux").is_file():
        return False
    there.mkdir(parents=True, exist_ok=True)
    for name in ("linux", "initrd.gz"):
        shutil.copyfile(here / name, there / name)
    return True
