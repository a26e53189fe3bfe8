"""`serval db grant SN`: a service node's own role in the database (docs/adr/0012)."""

import secrets

from cli.context import Context
from db import grants, schema
from db.engine import Engine, one_writer, writing
from drivers.files import PRIVATE, write_whole

#: Hosts by which nobody else reaches the database.
OWN_HOSTS = (None, "", "localhost", "127.0.0.1", "::1")


def grant(engine: Engine, sn: str, file: str | None, ctx: Context) -> int:
    """Make the role, or give it a new password, and say with which URL the service node logs in."""
    password = secrets.token_urlsafe(24)
    schema.upgrade(engine)
    with writing(engine) as connection:
        one_writer(connection)
        role = grants.grant(connection, sn, password)
    url = engine.url.set(drivername="postgresql", username=role, password=password)
    text = url.render_as_string(hide_password=False)
    if file is None:
        ctx.say(text)
    else:
        write_whole(ctx.cwd / file, text + "\n", PRIVATE)
        ctx.say(f"The role {role} is ready. `database` for serval.toml of {sn} is in {file}.")
    if engine.url.host in OWN_HOSTS:
        ctx.complain(
            "In place of the host in that URL write the address by which the service node reaches it."
        )
    return 0
