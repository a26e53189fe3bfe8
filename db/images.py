"""The osimage objects that genimage and packimage work on."""

from collections.abc import Mapping

from sqlalchemy import Connection

from core.errors import DefinitionError
from db.attributes import attributes
from db.definitions import read_rows
from db.upserts import rows_of, upsert


def read_image(connection: Connection, name: str) -> dict[str, str]:
    """The attributes of an osimage. Raises DefinitionError when there is none of that name."""
    found = read_rows(connection, "osimage").get(name)
    if found is None:
        raise DefinitionError(
            f"Cannot find the OS image {name} in the osimage table. lsdef -t osimage lists the images"
        )
    return found


def write_image(connection: Connection, name: str, values: Mapping[str, str]) -> None:
    """Set these attributes of an osimage, which is made where there is none."""
    upsert(connection, rows_of({name: dict(values)}, attributes("osimage")))
