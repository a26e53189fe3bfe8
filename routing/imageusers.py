"""Which nodes need an osimage: what nodeset decided for them, and what their definitions say."""

from collections.abc import Iterator

from core.bootdoc import from_text
from core.nodeset.files import INSTALL
from core.nodeset.images import image_of
from core.wanted import Kind
from db import wanted
from db.engine import Connection
from db.lookup import effective
from routing.imagewishes import boots
from routing.osimages import Source

WANTED = {"nodetype": ("provmethod",), "chain": ("currstate", "chain", "currchain")}


def users(connection: Connection, found: Source) -> list[str]:
    """The nodes that boot an image or are meant to, sorted.

    Where nodeset of xCAT decided, and Serval's not yet, chain.currstate tells.
    """
    booting = wanted.documents(connection, Kind.BOOT, wanted.names(connection, Kind.BOOT))
    folder = found.folder.relative_to(found.home.host_path(found.installdir))
    top = f"{INSTALL}/{folder}/"
    using = {node for node, text in booting.items() if from_text(text).kernel.startswith(top)}
    state = image_of(found.name, found.values).state
    return sorted(using | set(_named(connection, found.name, state, booting)))


def _named(connection: Connection, name: str, state: str, booting: dict[str, str]) -> Iterator[str]:
    for node, values in effective(connection, WANTED, unreadable={}).items():
        current = values.get("chain.currstate") if node not in booting else None
        if boots(values, name) or current == state:
            yield node
