"""Which images service nodes shall have: a document for each osimage, made from what lies on this host.

nodeset adds the members of its nodes' pools; packimage writes the new version, and who no node needs it from
any more loses it. How it gets there is routing/imagespread.py's business, and what a service node does with
it routing/imagecopies.py's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from core.errors import RequestError
from core.imagedoc import Copy, ImageDoc, from_text
from core.nodeset.cmdline import Place
from core.nodeset.files import INSTALL, of_image
from core.nodeset.images import Image, image_of
from core.nodeset.words import Step
from core.wanted import Kind
from db import imagecopies, wanted
from db.bootvalues import site_place
from db.engine import Connection, Engine, one_writer, reading, writing
from db.home import Home
from db.images import read_image
from db.lookup import Values, effective, site_values, split_list
from drivers.images.copies import describe
from drivers.servedfiles import first_complete
from routing.pools import members, pools_from

#: How images are booted whose files are copied; an installation's media are not.
COPIED = (Step.NETBOOT, Step.STATELITE)

NOTHING = Copy("", "")


@dataclass(frozen=True, slots=True)
class Standing:
    """An image as it is wanted, with what everybody says of it."""

    doc: ImageDoc
    members: tuple[str, ...]
    #: Service node → its copy.
    copies: Mapping[str, Copy]


def mounted(site: Values) -> bool:
    """Whether service nodes mount the management node's installdir, so that nothing is copied."""
    return bool(site.get("installloc", "").strip())


def packed(image: Image, place: Place, home: Home) -> tuple[str, list[str]] | None:
    """Folder and files of an image that is copied; None when it is not of that kind, or not packed here."""
    installdir = home.host_path(place.installdir)
    if image.provmethod not in COPIED or not installdir.is_dir():
        return None
    files = first_complete(of_image(image, place.installdir), {INSTALL: installdir})
    if files is None or image.on_nfs:  # a tree: whoever serves it mounts installdir, or has it from rsync
        return None
    folder = files.kernel.rpartition("/")[0]
    return folder, [path.rpartition("/")[2] for path in files.paths()]


def document(image: Image, place: Place, home: Home, old: ImageDoc | None) -> ImageDoc | None:
    """What service nodes shall have of an image; None when there is nothing to copy.

    Reads the files that `old` does not know. Raises UnavailableError.
    """
    found = packed(image, place, home)
    if found is None:
        return None
    served, names = found
    folder = home.host_path(place.installdir) / served.partition("/")[2]
    return describe(image.imagename, served, folder, names, old)


def standing(connection: Connection, images: Collection[str] | None = None) -> dict[str, Standing]:
    """Every image that is wanted, or those of `images` that are, ordered by name."""
    names = wanted.names(connection, Kind.IMAGE) if images is None else sorted(images)
    texts = wanted.documents(connection, Kind.IMAGE, names)
    having = wanted.members_of(connection, Kind.IMAGE, texts)
    copies = imagecopies.copies(connection, texts)
    found = {}
    for name in sorted(texts):
        try:
            found[name] = Standing(from_text(texts[name]), having[name], copies[name])
        except RequestError:
            continue  # written by another release; nodeset and packimage write it anew
    return found


def enter(connection: Connection, wishes: Mapping[str, tuple[Collection[str], ImageDoc]]) -> None:
    """More service nodes shall have these images. The caller's transaction has called `one_writer`."""
    had = wanted.members_of(connection, Kind.IMAGE, wishes)
    entries = {
        name: (sorted({*had.get(name, ()), *more}), doc.to_text()) for name, (more, doc) in wishes.items()
    }
    wanted.put(connection, Kind.IMAGE, entries)


def publish(engine: Engine, home: Home, name: str) -> list[str]:
    """Write what packimage has made for those whose nodes boot it; they, without the management node.

    Who waits for its first copy goes on waiting. Raises DefinitionError when there is no such osimage,
    UnavailableError when it cannot be read.
    """
    with reading(engine) as connection:
        place = site_place(site_values(connection))
        old = standing(connection, [name]).get(name)
        image = image_of(name, read_image(connection, name))
    doc = document(image, place, home, old.doc if old else None)
    if doc is None:
        return []
    with writing(engine) as connection:
        one_writer(connection)
        having = users(connection, name, home.mn)
        if now := standing(connection, [name]).get(name):
            first = {member for member in now.members if not now.copies.get(member, NOTHING).version}
            having |= first - {home.mn}
        members_ = sorted({home.mn, *having}) if having else []
        wanted.put(connection, Kind.IMAGE, {name: (members_, doc.to_text())})
    return sorted(having)


def forget(connection: Connection, name: str) -> None:
    """The image is gone: every service node removes what it has. The caller has called `one_writer`."""
    wanted.remove(connection, Kind.IMAGE, [name])


def users(connection: Connection, image: str, mn: str) -> set[str]:
    """The members of the pools of all nodes that boot this image or have it in their chain; not the MN."""
    columns = {
        "nodetype": ["provmethod"],
        "noderes": ["servicenode"],
        "chain": ["chain", "currchain"],
    }
    nodes = effective(connection, columns, None, {})
    written = {node: row.get("noderes.servicenode", "") for node, row in nodes.items() if boots(row, image)}
    pools = pools_from(connection, written, mn, {}).of.values()
    return {member for pool in set(pools) for member in members(pool)} - {mn}


def boots(row: Values, image: str) -> bool:
    """Whether a node with these values boots the image, now or as a later step of its chain."""
    steps = [*split_list(row.get("chain.chain")), *split_list(row.get("chain.currchain"))]
    return row.get("nodetype.provmethod") == image or f"{Step.OSIMAGE}={image}" in steps


def asked_again(doc: ImageDoc, now: float) -> ImageDoc:
    """The same document as news, so that service nodes that failed try once more."""
    return replace(doc, asked=now)
