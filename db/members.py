"""Management and service nodes that have joined: keys that credentials are sealed for, and certificates."""

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.errors import RequestError
from db.jobtables import member


def join(connection: Connection, name: str, public: str, now: float) -> None:
    """Enter a host with its public key, the first time it starts.

    Raises RequestError when the host is known with another key: somebody else may be using its name.
    """
    dialect_insert = pg_insert if connection.dialect.name == "postgresql" else sqlite_insert
    first = dialect_insert(member).values(name=name, public=public, joined=now)
    connection.execute(first.on_conflict_do_nothing(index_elements=["name"]))
    known = connection.scalar(select(member.c.public).where(member.c.name == name))
    if known != public:
        raise RequestError(
            f"{name} has joined before with another key. If its home was made anew, run on the management "
            f"node: serval sn forget {name}"
        )


def certify(connection: Connection, name: str, certificate: str) -> None:
    """Enter the certificate of a host that has joined.

    Raises RequestError when it has another one: somebody else may be using its name.
    """
    mine = member.c.name == name
    connection.execute(
        update(member).where(mine, member.c.certificate.is_(None)).values(certificate=certificate)
    )
    if connection.scalar(select(member.c.certificate).where(mine)) != certificate:
        raise RequestError(
            f"{name} has joined before with another certificate. If its home was made anew, run on the "
            f"management node: serval sn forget {name}"
        )


def certificates(connection: Connection) -> dict[str, str]:
    """The certificate of every member that has one, by name."""
    query = select(member.c.name, member.c.certificate).where(member.c.certificate.is_not(None))
    return {row.name: row.certificate for row in connection.execute(query)}


def forget(connection: Connection, name: str) -> bool:
    """Let a host join again with a new key; whether it was known."""
    gone = connection.scalars(delete(member).where(member.c.name == name).returning(member.c.name))
    return gone.first() is not None


def keys(connection: Connection) -> dict[str, str]:
    """Every member's public key by name."""
    return {row.name: row.public for row in connection.execute(select(member))}
