"""imgcapture on the host that builds: a running node's files become the tree of an osimage."""

from collections.abc import Sequence

from core.errors import DefinitionError, RequestError
from core.images.exlist import read_exlist
from core.images.sources import find
from db.deliveries import Said
from db.engine import Connection, reading
from db.lookup import effective
from drivers.images.build import Tell
from drivers.images.capture import capture
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe
from drivers.images.sshname import Login, own_folder
from drivers.resolve import Resolver
from routing.imaging import carried_out
from routing.osimages import METHOD, Source, drivers, shipped_files, source
from routing.pools import members
from routing.syncing import Hand, Order

ENDING = "imgcapture.exlist"
PORT = 22


def exlist(found: Source) -> list[str]:
    """The site's patterns of what stays on the node, beside those that always do. Raises DefinitionError."""
    tops = (f"{found.installdir}/custom/netboot",)
    file = find(found.kind, ENDING, tops, lambda named: found.path(named).is_file())
    if file is None:
        return []
    excludes = read_exlist((file,), found.read, found.variables)
    if excludes.keep:
        raise DefinitionError(f"{file}: lines with + mean nothing here; leave out less instead")
    return list(excludes.out)


def ways(connection: Connection, node: str, mn: str) -> list[tuple[str, str]]:
    """How a node may be reached, best first: its host name, and through which service node.

    Raises RequestError for a node that does not exist.
    """
    columns = {"hosts": ("ip",), "noderes": ("servicenode",)}
    values = effective(connection, columns, [node], unreadable={}).get(node)
    if values is None:
        raise RequestError(f"there is no node {node}")
    resolver = Resolver()
    try:
        host = node if resolver.addresses([node]) else values.get("hosts.ip", node)
    finally:
        resolver.close()
    pool = [name for name in members(values.get("noderes.servicenode", "")) if name != mn]
    return [(host, ""), *((host, name) for name in pool)]


def logins(names: Sequence[tuple[str, str]]) -> list[tuple[Login, Login | None]]:
    """The same as root with this host's keys."""
    folder = own_folder()
    return [
        (Login(host, PORT, folder), Login(through, PORT, folder) if through else None)
        for host, through in names
    ]


def imgcapture(order: Order) -> Said:
    """The hand that makes the tree of `image` from `node`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"], (METHOD,))
        reaching = ways(connection, details["node"], order.home.mn)
    kind = found.kind
    recipe = Recipe(
        name=found.name,
        kind=kind,
        packages=(),
        interface=found.values.get("nodebootif", ""),
        drivers=drivers(found),
        kernel=found.values.get("kernelver", ""),
        files=shipped_files(is_service=False),
    )
    patterns = exlist(found)

    def act(jail: Jail, tell: Tell) -> str:
        record = capture(logins(reaching), recipe, found.folder, patterns, jail, tell)
        return (
            f"{found.name}: {len(record.packages)} packages of {details['node']} in {found.folder}; "
            f"packimage {found.name} is next"
        )

    return carried_out(order, act)


HANDS: dict[str, Hand] = {"imgcapture": imgcapture}
