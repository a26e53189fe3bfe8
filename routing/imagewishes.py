"""Which images service nodes shall have: a document for each osimage, made from what lies on this host.

What is installed to disk needs the media: one document for all osimages that have the same (docs/adr/0019).

nodeset adds the members of its nodes' pools; packimage writes the new version, and who no node needs it from
any more loses it. How it gets there is routing/imagespread.py's business, and what a service node does with
it routing/imagecopies.py's.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from core.errors import RequestError
from core.imagedoc import Copy, Form, ImageDoc, from_text
from core.images.medialist import NAME as LIST
from core.nodeset.cmdline import Place
from core.nodeset.files import INSTALL, LITE_PARCEL, media, of_image
from core.nodeset.images import METHODS, Image, image_of
from core.nodeset.words import Step
from core.wanted import Kind
from db import imagecopies, wanted
from db.bootvalues import site_place
from db.definitions import read_rows
from db.engine import Connection, Engine, one_writer, reading, writing
from db.home import Home
from db.images import read_image
from db.lookup import Values, effective, site_values, split_list
from drivers.images import medialook
from drivers.images.copies import describe
from drivers.servedfiles import first_complete
from routing.pools import members, pools_from

NOTHING = Copy("", "")
#: Where a node names its osimages.
IMAGE_COLUMNS = {"nodetype": ["provmethod"], "chain": ["chain", "currchain"]}


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


def copied_as(image: Image, place: Place) -> str:
    """The name of an image's document: its own, or the folder of the media that it is installed from.

    Raises DefinitionError.
    """
    return media(image, place.installdir) if image.provmethod == Step.INSTALL else image.imagename


def document(
    image: Image, place: Place, home: Home, old: ImageDoc | None, *, shared: bool
) -> ImageDoc | None:
    """What service nodes shall have of an image; None when it is not here.

    Reads the files that `old`, or the list of an installation tree, does not know. With `shared` service
    nodes see this host's files. Raises DefinitionError, RequestError, UnavailableError.
    """
    install = home.host_path(place.installdir)
    files = (
        first_complete(of_image(image, place.installdir), {INSTALL: install}) if install.is_dir() else None
    )
    if files is None:
        return None
    name = copied_as(image, place)
    if image.provmethod == Step.INSTALL:
        folder = install / name.partition("/")[2]
        listed, _ = medialook.renew(folder)
        doc = describe(name, name, folder, [LIST], old)
        return replace(doc, form=Form.MEDIA, listed=listed.size)
    served = files.kernel.rpartition("/")[0]
    folder, names = install / served.partition("/")[2], [path.rpartition("/")[2] for path in files.paths()]
    if not image.on_nfs:
        return replace(describe(name, served, folder, names, old), form=Form.FILES)
    archive = [LITE_PARCEL] if (folder / LITE_PARCEL).is_file() else []
    if not archive and not shared:
        raise RequestError(f"the root of osimage {name} is not packed for service nodes: run liteimg {name}")
    return replace(describe(name, served, folder, [*names[:2], *archive], old), form=Form.ROOT)


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
    """Write what an osimage is now for those whose nodes boot it; they, without the management node.

    Who waits for its first copy goes on waiting, and a root on NFS stays wherever it was, for nodes may run
    on it. Raises DefinitionError when there is no such osimage, UnavailableError when it cannot be read.
    """
    with reading(engine) as connection:
        site = site_values(connection)
        place = site_place(site)
        image = image_of(name, read_image(connection, name))
        key = copied_as(image, place)
        same = [one for one, other in defined(connection, place).items() if other == key]
        old = standing(connection, [key]).get(key)
    doc = document(image, place, home, old.doc if old else None, shared=mounted(site))
    if doc is None:
        return []
    with writing(engine) as connection:
        one_writer(connection)
        having = users(connection, same, home.mn)
        if now := standing(connection, [key]).get(key):
            first = {member for member in now.members if not now.copies.get(member, NOTHING).version}
            having |= (set(now.members) if doc.form is Form.ROOT else first) - {home.mn}
        members_ = sorted({home.mn, *having}) if having else []
        wanted.put(connection, Kind.IMAGE, {key: (members_, doc.to_text())})
    return sorted(having)


def defined(connection: Connection, place: Place) -> dict[str, str]:
    """Every osimage → the name of its document; those that cannot have one are left out."""
    found = {}
    for name, values in read_rows(connection, "osimage").items():
        with suppress(RequestError):
            found[name] = copied_as(image_of(name, values), place)
    return found


def look_again(engine: Engine, home: Home, names: Collection[str]) -> None:
    """Look at these osimages or media, or at all that service nodes shall have, and write what has changed.

    Raises RequestError for one that is not defined, and what `publish` raises.
    """
    with reading(engine) as connection:
        known = defined(connection, site_place(site_values(connection)))
        keys = {known.get(name, name) for name in names or wanted.names(connection, Kind.IMAGE)}
    by_key = {key: name for name, key in known.items()}
    if names and (strange := keys - by_key.keys()):
        raise RequestError(f"there is no osimage {', '.join(sorted(strange))}, nor one installed from it")
    for key in sorted(keys & by_key.keys()):
        publish(engine, home, by_key[key])


def forget_undefined(connection: Connection, home: Home) -> None:
    """Service nodes remove copies whose osimages are not defined any more and no node names.

    Roots on NFS stay, for nodes may run on them, and media while a node names an osimage of which nobody can
    say what it is installed from. The caller has called `one_writer`.
    """
    known = defined(connection, site_place(site_values(connection)))
    named = set[str]().union(*map(images_of, effective(connection, IMAGE_COLUMNS, None, {}).values()))
    stays = {Form.ROOT} if named <= known.keys() else {Form.ROOT, Form.MEDIA}
    gone = [
        name
        for name, one in standing(connection).items()
        if name not in known.values() and name not in named and one.doc.form not in stays
    ]
    wanted.remove(connection, Kind.IMAGE, gone)


def forget(connection: Connection, name: str) -> None:
    """The image is gone: every service node removes what it has. The caller has called `one_writer`."""
    wanted.remove(connection, Kind.IMAGE, [name])


def users(connection: Connection, images: Collection[str], mn: str) -> set[str]:
    """The members of the pools of all nodes that boot one of these or have it in their chain; not the MN."""
    nodes = effective(connection, {**IMAGE_COLUMNS, "noderes": ["servicenode"]}, None, {})
    written = {
        node: row.get("noderes.servicenode", "")
        for node, row in nodes.items()
        if not images_of(row).isdisjoint(images)
    }
    pools = pools_from(connection, written, mn, {}).of.values()
    return {member for pool in set(pools) for member in members(pool)} - {mn}


def images_of(row: Values) -> set[str]:
    """The osimages that a node with these values boots, now or as a later step of its chain."""
    steps = [*split_list(row.get("chain.chain")), *split_list(row.get("chain.currchain"))]
    later = {name for step, _, name in (word.partition("=") for word in steps) if step == Step.OSIMAGE}
    return {name for name in {row.get("nodetype.provmethod", ""), *later} if name and name not in METHODS}


def asked_again(doc: ImageDoc, now: float) -> ImageDoc:
    """The same document as news, so that service nodes that failed try once more."""
    return replace(doc, asked=now)
