"""The osimage objects that genimage and packimage work on."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from core.errors import DefinitionError
from db.attributes import attributes
from db.definitions import read_rows
from db.lookup import enabled
from db.tables import TABLES
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


def lite_rows(connection: Connection, table: str) -> list[dict[str, str]]:
    """The rows of litefile or litetree, without disabled ones; empty values are left out."""
    of = TABLES[table]
    rows = connection.execute(select(of).where(enabled(of))).mappings()
    return [{str(column): value for column, value in row.items() if value} for row in rows]
