"""Making a database and keeping it current: Alembic's migrations, run from code.

Revisions are numbered (0001, 0002 …), so a newer one can be told from an older one without loading Alembic.
Migrations expand first and contract a release later: a database newer than this program still serves it.
"""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from db import grants
from db.base import metadata
from db.engine import one_writer, open_engine, reading, writing
from db.home import open_home
from db.onehost import refuse_shared

MIGRATIONS = Path(__file__).parent / "migrations"
#: The revision that this program's tables are at.
HEAD = "0009"


def open_database(env: Mapping[str, str] | None = None) -> Engine:
    """The database of the home that this environment names, made or brought up to date when it needs that."""
    url = open_home(env).database
    engine = open_engine(url)
    refuse_shared(url)
    upgrade(engine)
    return engine


def upgrade(engine: Engine) -> None:
    """Bring the database to this program's tables; costs one SELECT when it is there already.

    Any number of processes may call it at once. Raises UnavailableError when the database does not answer.
    """
    with reading(engine) as connection:
        if revision(connection) >= HEAD:
            return
    with writing(engine) as connection:
        one_writer(connection)
        if _revision_inside(connection) < HEAD:
            _run(connection)
            grants.renew(connection)


def revision(connection: Connection) -> str:
    """The revision the database is at, empty for a new one; the transaction is of no use after that."""
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
    except ProgrammingError:
        return ""
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return ""
        raise


def faults(connection: Connection) -> list[str]:
    """What is wrong with the tables: SQLite's own check, and columns that are missing."""
    found = []
    if connection.dialect.name == "sqlite":
        answers = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        found += [f"integrity_check: {answer}" for answer in answers if answer != "ok"]
    there = inspect(connection)
    names = set(there.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in names:
            found.append(f"table {table.name} is missing")
            continue
        missing = set(table.c.keys()) - {column["name"] for column in there.get_columns(table.name)}
        found += [f"column {table.name}.{column} is missing" for column in sorted(missing)]
    return found


def _revision_inside(connection: Connection) -> str:
    """The same in a transaction that goes on: PostgreSQL ends one that failed, so it gets a savepoint."""
    with connection.begin_nested() as savepoint:
        found = revision(connection)
        if not found:
            savepoint.rollback()
    return found


def _run(connection: Connection) -> None:
    # Alembic costs a quarter of a second to import, and a database is made once.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
