"""rmimage on the host that builds: files that no node needs go, and the definition where asked.

Service nodes remove their copies.
"""

from core.errors import RequestError
from core.fold import fold
from db.deliveries import Said
from db.engine import Connection, one_writer, reading, writing
from db.nodes import DatabaseNodes
from db.plain import PlainWriter
from drivers.images.build import Tell
from drivers.images.jail import Jail
from drivers.images.removal import remove
from routing.imageusers import users
from routing.imagewishes import forget
from routing.imaging import carried_out
from routing.osimages import Source, source
from routing.syncing import Hand, Order


def refuse_used(connection: Connection, found: Source) -> None:
    """Raises RequestError for an image that nodes boot or are meant to boot, naming them."""
    if using := users(connection, found):
        raise RequestError(
            f"osimage {found.name} is used by {fold(using)}: give them another with nodeset (and chdef "
            "provmethod=), or say --force"
        )


def rmimage(order: Order) -> Said:
    """The hand that removes `image`, and its definition with `xcatdef`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"])
        if "force" not in details:
            refuse_used(connection, found)

    def act(jail: Jail, tell: Tell) -> str:
        gone = remove(found.folder, tell)
        said = f"{found.name}: {', '.join(gone) or 'nothing'} removed from {found.folder}"
        with writing(order.engine) as connection:
            one_writer(connection)
            forget(connection, found.name)
            if "xcatdef" in details:
                PlainWriter(DatabaseNodes(connection), "osimage").remove([found.name])
                said += "; its definition too"
        return said

    return carried_out(order, act)


HANDS: dict[str, Hand] = {"rmimage": rmimage}
