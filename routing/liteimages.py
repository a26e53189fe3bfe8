"""liteimg on the management node: what the tables say of a statelite image, and the drivers' work."""

from core.fold import fold
from core.images.statelite import Lite, in_memory, read_lite
from core.nodeset.words import Step
from db.deliveries import Said
from db.engine import Connection, reading
from db.images import lite_rows
from db.lookup import passwords, site_values, split_list
from drivers.images import lite
from drivers.images.build import Tell
from drivers.images.jail import Jail
from drivers.images.pack import Wanted
from drivers.images.recipe import Recipe
from routing.imagewishes import mounted, publish
from routing.imaging import carried_out
from routing.osimages import Source, drivers, shipped_files, source
from routing.syncing import Hand, Order

STATELITE = (str(Step.STATELITE),)


def lite_of(connection: Connection, found: Source) -> Lite:
    """What litefile and litetree say of an osimage. Raises DefinitionError, naming the row."""
    files, trees = lite_rows(connection, "litefile"), lite_rows(connection, "litetree")
    return read_lite(files, trees, found.name, split_list(found.values.get("groups")))


def liteimg(order: Order) -> Said:
    """The hand that makes the statelite form of `image`."""
    with reading(order.engine) as connection:
        found = source(connection, order.home, order.details["image"], STATELITE)
        wanted = lite_of(connection, found)
        password = dict(passwords(connection, "system")).get("root", "")
        shared = mounted(site_values(connection))
    recipe = Recipe(
        found.name, found.kind, (),
        interface=found.values.get("nodebootif", ""),
        drivers=drivers(found),
        kernel=found.values.get("kernelver", ""),
        files=shipped_files(is_service=False),
    )  # fmt: skip
    memory = in_memory(found.name, found.values.get("rootfstype", ""))
    packed = Wanted(excludes=found.excludes()) if memory else None

    def act(jail: Jail, tell: Tell) -> str:
        root = lite.make(
            recipe, wanted, found.folder, jail, tell, password=password, packed=packed, spread=not shared
        )
        said = f"{root}: {len(wanted.entries)} rows of litefile, {len(wanted.trees)} of litetree"
        if not password:
            said += "; root has no password, for passwd has no row key=system username=root"
        if having := publish(order.engine, order.home, found.name):
            said += f"; goes to {fold(having)}"
        return said

    return carried_out(order, act)


HANDS: dict[str, Hand] = {"liteimg": liteimg}
