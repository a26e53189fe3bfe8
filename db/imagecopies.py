"""What every service node says of its copies of images."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from core.imagedoc import Copy
from db.bulk import bulk_insert
from db.imagetables import image_copy

FIELDS = tuple(Copy.__dataclass_fields__)


def note(connection: Connection, copy: Copy) -> None:
    """Replace what its service node said of this image before."""
    row = {name: getattr(copy, name) for name in FIELDS}
    bulk_insert(connection, image_copy, [row], replace_on=("image", "sn"))


def forget(connection: Connection, sn: str, image: str) -> None:
    """The service node has nothing to say of this image any more."""
    connection.execute(delete(image_copy).where(image_copy.c.sn == sn, image_copy.c.image == image))


def copies(connection: Connection, images: Collection[str]) -> dict[str, dict[str, Copy]]:
    """Image → service node → what it says, both ordered by name; images without a copy are there too."""
    columns = [image_copy.c[name] for name in FIELDS]
    query = select(*columns).where(image_copy.c.image.in_(images)).order_by(image_copy.c.sn)
    found: dict[str, dict[str, Copy]] = {image: {} for image in sorted(images)}
    for row in connection.execute(query):
        found[row.image][row.sn] = Copy(*row)
    return found


def of_sn(connection: Connection, sn: str) -> dict[str, Copy]:
    """Image → what this service node says of it."""
    columns = [image_copy.c[name] for name in FIELDS]
    rows = connection.execute(select(*columns).where(image_copy.c.sn == sn))
    return {row.image: Copy(*row) for row in rows}
