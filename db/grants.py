"""What a service node's own role may do in a PostgreSQL database (docs/adr/0012).

All service nodes are members of one group, which holds the rights below; a service node's role can log in and
has nothing else. A table of xCAT's may be read unless its declaration says that it holds secrets; one of
Serval's own only if it is named here. Of members and attempts a service node changes only its own rows.
"""

import re

from psycopg2.extensions import encrypt_password  # type: ignore[import-untyped]
from sqlalchemy import Connection, text

from core.errors import RequestError
from db.attributes import SECRET_COLUMNS
from db.tables import TABLES

#: Serval's own tables → what a service node may do; in brackets the columns that it writes. Others: nothing.
OWN = {
    "alembic_version": ["SELECT"],
    "job": ["SELECT"],
    "job_node": ["SELECT", "UPDATE (state, issued, outcome, text, error, sn, ended)"],
    "attempt": ["SELECT", "UPDATE (claimed, beat, released, ended, sealed, result)"],
    "event": ["SELECT", "INSERT"],
    "member": ["SELECT", "INSERT", "UPDATE (certificate)"],
    "pacing": ["SELECT"],
    "supervisor": ["SELECT"],
    "step": ["SELECT"],
    "drain": ["SELECT"],
    "wanted": ["SELECT"],
    "kept": ["SELECT", "INSERT", "UPDATE", "DELETE"],
    "sn_service": ["SELECT", "INSERT", "UPDATE", "DELETE"],
    "image_copy": ["SELECT", "INSERT", "UPDATE", "DELETE"],
}
#: xCAT's tables that a service node writes too: the status that nodes report to it.
ALSO = {"nodelist": ["UPDATE (status, statustime)"]}
#: Table → the column that names a service node: it sees all rows, and changes those that name itself.
OWN_ROWS = {"attempt": "sn", "member": "name", "kept": "sn", "sn_service": "sn", "image_copy": "sn"}
#: xCAT's tables that hold passwords: a service node sees nothing of them.
SECRET_TABLES = frozenset(column.partition(".")[0] for column in SECRET_COLUMNS)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
#: PostgreSQL cuts longer names off.
LONGEST = 63


def grant(connection: Connection, sn: str, password: str) -> str:
    """Make the role of a service node, or give it this password; the role's name.

    Raises RequestError when the database is no PostgreSQL, the name cannot be used, or is somebody else's.
    """
    if connection.dialect.name != "postgresql":
        raise RequestError("only PostgreSQL has roles: serval db migrate moves the database there")
    group, role = group_name(connection), f"{_prefix(connection)}{sn}"
    if not NAME.fullmatch(sn) or len(role.encode()) > LONGEST:
        raise RequestError(f"{sn[:80]!r} is no name of a service node, or {role[:80]} too long for a role")
    own = connection.execute(text("SELECT * FROM pg_roles WHERE rolname = current_user")).one()
    if not (own.rolcreaterole or own.rolsuper):
        raise RequestError(
            f"the role {own.rolname} may not make roles. As PostgreSQL's administrator: "
            f'psql -c "ALTER ROLE {own.rolname} CREATEROLE"'
        )
    if not _exists(connection, group):
        _do(connection, f"CREATE ROLE {_quoted(group)} NOLOGIN")
    renew(connection)
    if not _exists(connection, role):
        _do(connection, f"CREATE ROLE {_quoted(role)} IN ROLE {_quoted(group)}")
    elif not connection.scalar(
        text("SELECT pg_has_role(:role, :group, 'MEMBER')"), {"role": role, "group": group}
    ):
        raise RequestError(f"there is a role {role} already that is no service node's of this database")
    # Only a hash travels, so that no log of statements holds the password.
    raw = connection.connection.dbapi_connection
    hashed = encrypt_password(password, role, scope=raw, algorithm="scram-sha-256")
    _do(connection, f"ALTER ROLE {_quoted(role)} LOGIN PASSWORD '{hashed}'")
    return role


def renew(connection: Connection) -> None:
    """Give the group of service nodes the rights of this release, if there is one; no others are left."""
    if connection.dialect.name != "postgresql" or not _exists(connection, group_name(connection)):
        return
    to = _quoted(group_name(connection))
    schema = connection.scalar(text("SELECT current_schema()"))
    statements = [f"REVOKE ALL ON ALL TABLES IN SCHEMA {_quoted(schema)} FROM {to}"]
    for name, rights in (
        *OWN.items(),
        *((name, ["SELECT", *ALSO.get(name, ())]) for name in sorted(TABLES.keys() - SECRET_TABLES)),
    ):
        statements.append(f'GRANT {", ".join(rights)} ON "{name}" TO {to}')
    statements.append(f"GRANT USAGE ON SEQUENCE event_id_seq TO {to}")
    prefix = _prefix(connection).replace("'", "''")
    for name, column in OWN_ROWS.items():
        statements += _policies(name, f"current_user = '{prefix}' || {column}", to)
    for statement in statements:
        _do(connection, statement)


def group_name(connection: Connection) -> str:
    """The role that holds the rights of all service nodes of this database."""
    return f"{_prefix(connection)}service_nodes"


def refused(connection: Connection) -> frozenset[str]:
    """xCAT's tables that our own role may not read."""
    if connection.dialect.name != "postgresql":
        return frozenset()
    query = text(
        "SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relkind = 'r' "
        "AND relnamespace = current_schema()::regnamespace AND NOT has_table_privilege(oid, 'SELECT')"
    )
    return frozenset(connection.scalars(query, {"names": sorted(SECRET_TABLES)}))


def _policies(name: str, own: str, to: str) -> list[str]:
    rules = {
        "see": f"FOR SELECT TO {to} USING (true)",
        "add": f"FOR INSERT TO {to} WITH CHECK ({own})",
        "change": f"FOR UPDATE TO {to} USING ({own})",
        "remove": f"FOR DELETE TO {to} USING ({own})",
    }
    made = [f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY']
    for rule, what in rules.items():
        made += [
            f'DROP POLICY IF EXISTS sn_{rule} ON "{name}"',
            f'CREATE POLICY sn_{rule} ON "{name}" {what}',
        ]
    return made


def _prefix(connection: Connection) -> str:
    """Roles belong to the whole server: those of two databases differ."""
    return f"{connection.engine.url.database}_"


def _exists(connection: Connection, role: str) -> bool:
    return bool(connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}))


def _do(connection: Connection, statement: str) -> None:
    """Names and passwords of roles cannot be parameters; nothing in the statement is one."""
    connection.exec_driver_sql(statement.replace("%", "%%"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
