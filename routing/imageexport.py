"""imgexport on the host that builds: an osimage, its lists and what nodes boot of it become one file."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from core.errors import DefinitionError, RequestError
from core.images import manifest as manifests
from core.images.lists import flattened
from core.images.manifest import BOOT, LISTS, Manifest
from core.images.sources import scripts
from db.definitions import read_nodes
from db.deliveries import Said
from db.engine import Connection, reading
from drivers.images.build import Tell
from drivers.images.bundle import Content, part_of, write_bundle
from drivers.images.jail import Jail
from drivers.images.shelf import Record, Shelf
from routing.imaging import carried_out
from routing.osimages import METHOD, Source, source
from routing.syncing import Hand, Order

POSTSCRIPTS = ("postscripts", "postbootscripts")


def packed(found: Source) -> dict[str, Content]:
    """What nodes boot, by its names in the bundle. Raises RequestError where it is not whole."""
    shelf = Shelf(found.folder)
    files = [shelf.folder / name for name in BOOT] + [
        path for path in shelf.packed() if path.name in manifests.ROOTS
    ][:1]
    missing = [path.name for path in files if not path.is_file()]
    if missing or len(files) == len(BOOT):
        raise RequestError(
            f"{shelf.folder} lacks {', '.join(missing) or 'a packed image'}: run genimage and packimage first"
        )
    return {f"image/{path.name}": path for path in files}


def lists(found: Source) -> Iterator[tuple[str, Content]]:
    """The lists, each as one file without includes, and the scripts of postinstall."""
    for attribute in LISTS:
        if text := flattened(found.lists(attribute), found.read, found.variables):
            yield f"lists/{attribute}", text.encode()
    for number, (script, *_) in enumerate(scripts(found.values.get("postinstall", ""), "postinstall"), 1):
        name = re.sub(r"[^A-Za-z0-9_.+-]", "_", PurePosixPath(script).name)
        yield f"scripts/{number}-{name}", found.path(script)


def extras(found: Source, asked: str) -> Iterator[tuple[str, Content]]:
    """`FILE` or `FILE:FOLDER`, one a line: files and whole folders, which an import puts below installdir.

    Raises RequestError for what lies, or shall lie, elsewhere.
    """
    for line in asked.splitlines():
        named, _, folder = line.partition(":")
        top = PurePosixPath(folder or PurePosixPath(named).parent)
        if not top.is_relative_to(found.installdir) or ".." in top.parts:
            raise RequestError(f"-e {line}: {top} is not below {found.installdir}; write FILE:FOLDER")
        start = found.home.host_path(named)
        files = [start] if not start.is_dir() else sorted(path for path in start.rglob("*") if path.is_file())
        for file in files:
            if file.is_symlink():
                raise RequestError(f"-e {line}: {file} is a symbolic link")
            place = top.relative_to(found.installdir) / file.relative_to(start.parent)
            yield f"extra/{place}", file


def postscripts(connection: Connection, node: str) -> dict[str, str]:
    """The names of a node's postscripts and postbootscripts."""
    values = read_nodes(connection, [node], POSTSCRIPTS).get(node, {})
    return {name: values[name] for name in POSTSCRIPTS if values.get(name)}


def imgexport(order: Order) -> Said:
    """The hand that writes `bundle`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"], (METHOD,))
        named = postscripts(connection, details["node"]) if details.get("node") else {}
    target = Path(details["bundle"])

    def act(jail: Jail, tell: Tell) -> str:
        with Shelf(found.folder).workshop():
            contents = packed(found) | dict(lists(found)) | dict(extras(found, details.get("extra", "")))
            tell(5, "SHA-256 of its files")
            made = manifest(found, contents, named, jail)
            tell(40, f"writing {len(contents)} files")
            write_bundle(made, contents, target, jail.stop)
        said = f"{found.name} is in {target}: {made.size >> 20} MB"
        return f"{said}; whoever can read it has the hash of root's password"

    return carried_out(order, act)


def manifest(
    found: Source, contents: Mapping[str, Content], named: Mapping[str, str], jail: Jail
) -> Manifest:
    """What the bundle says of itself. Raises DefinitionError for names that no import would take."""
    record: Record = Shelf(found.folder).record()
    made = Manifest(
        name=found.name,
        attributes=dict(found.values),
        files={name: part_of(content, jail.stop) for name, content in contents.items()},
        packages=record.packages,
        postscripts=named,
        built=record.built,
        packed=record.packed or time.time(),
    )
    try:
        return manifests.from_text(made.to_text())
    except DefinitionError as error:
        raise DefinitionError(f"nobody could import it: {error.message}") from error


HANDS: dict[str, Hand] = {"imgexport": imgexport}
