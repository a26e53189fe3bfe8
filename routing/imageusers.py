"""Which nodes need an osimage: what nodeset decided for them, and what their definitions say."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from core.bootdoc import from_text
from core.errors import RequestError
from core.nodeset.files import INSTALL
from core.nodeset.images import image_of
from core.wanted import Kind
from db import wanted
from db.engine import Connection
from db.lookup import effective
from routing.imagewishes import images_of
from routing.osimages import Source, images

WANTED = {"nodetype": ("provmethod",), "chain": ("currstate", "chain", "currchain")}


def users(connection: Connection, found: Source) -> list[str]:
    """The nodes that boot an image or are meant to, sorted.

    Where nodeset of xCAT decided, and Serval's not yet, chain.currstate tells.
    """
    booting = wanted.documents(connection, Kind.BOOT, wanted.names(connection, Kind.BOOT))
    folder = found.folder.relative_to(found.home.host_path(found.installdir))
    top = f"{INSTALL}/{folder}/"
    using = {node for node, text in booting.items() if from_text(text).kernel.startswith(top)}
    return sorted(using | set(_named(connection, list(_sharing(connection, found)), booting)))


def _sharing(connection: Connection, found: Source) -> Iterator[Source]:
    """The osimages with this rootimgdir: a stateless and a statelite one have the same."""
    for one in images(connection, found.home):
        with suppress(RequestError):
            if one.folder == found.folder:
                yield one


def _named(connection: Connection, sources: Collection[Source], booting: Collection[str]) -> Iterator[str]:
    states = {image_of(one.name, one.values).state for one in sources}
    names = {one.name for one in sources}
    for node, values in effective(connection, WANTED, unreadable={}).items():
        current = values.get("chain.currstate") if node not in booting else None
        if current in states or not names.isdisjoint(images_of(values)):
            yield node
