"""Alembic's entry: db.schema's connection, or for a developer the home's database."""

from alembic import context
from sqlalchemy import Connection

from db import imagetables, jobtables, servicetables, steptables, tables, wantedtables
from db.base import metadata
from db.engine import open_engine, writing
from db.home import open_home

#: Importing them puts their tables on the metadata.
DECLARED = (tables, imagetables, jobtables, servicetables, steptables, wantedtables)


def migrate(connection: Connection) -> None:
    """Run the migrations that Alembic was asked for in the caller's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with writing(open_engine(open_home().database)) as own:
        migrate(own)
