"""The way to the database: one engine a URL, transactions, and the one place where driver errors become ours.

SQLite is opened in WAL mode with synchronous=FULL and its writes begin with BEGIN IMMEDIATE; PostgreSQL is
reached through psycopg2 with time-outs everywhere, because a command must say within ten seconds that the
database is down. Transaction control on SQLite follows SQLAlchemy's recipe for pysqlite: the driver's own is
switched off and the `begin` event emits BEGIN.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, make_url, text
from sqlalchemy import Connection as Connection
from sqlalchemy import Engine as Engine
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    TimeoutError,
)

from core.errors import DefinitionError, RequestError, ServalError, UnavailableError

#: How long a write waits for another writer, seconds.
LOCK_WAIT = 10
PG_OPTIONS = (
    f"-c synchronous_commit=on -c lock_timeout={LOCK_WAIT * 1000} "
    "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 -c random_page_cost=1.1"
)
PG_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: A process that is frozen within a brisk transaction loses it, and its locks, before it is given up.
PG_BRISK = "-c idle_in_transaction_session_timeout=2000"
#: Where the network loses everything, a brisk connection is given up when its process is, after 3 s: the
#: sooner a new one is tried, the sooner a link that is back is noticed.
PG_BRISK_ARGUMENTS = PG_ARGUMENTS | {
    "connect_timeout": 3,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "tcp_user_timeout": 3_000,
}
PG_INSUFFICIENT_PRIVILEGE = "42501"
#: Key of the advisory lock that `one_writer` takes on PostgreSQL.
WRITER_LOCK = 0x5E27A1
#: What a driver's error means to us; what is not here is a mistake in Serval and keeps its traceback.
MEANING: dict[type[Exception], type[ServalError]] = {
    OperationalError: UnavailableError,
    InterfaceError: UnavailableError,
    InternalError: UnavailableError,
    DatabaseError: UnavailableError,
    TimeoutError: UnavailableError,
    IntegrityError: DefinitionError,
    DataError: DefinitionError,
}

_engines: dict[tuple[str, bool], Engine] = {}


def open_engine(url: str, *, brisk: bool = False) -> Engine:
    """The engine of a SQLAlchemy URL, the same one for every caller in this process.

    `brisk` is for those who never rest within a transaction and whose locks others wait for: PostgreSQL ends
    their transaction when they do. Nothing is connected yet. Raises RequestError for a URL that Serval cannot
    use.
    """
    if (url, brisk) not in _engines:
        _engines[url, brisk] = _make_engine(url, brisk)
    return _engines[url, brisk]


def _make_engine(url: str, brisk: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RequestError(
            "the setting 'database' is not a URL such as sqlite:////path or postgresql://host/name"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend == "postgresql":
        return _postgresql(parsed, brisk)
    raise RequestError(f"the setting 'database' names {backend}; Serval runs on sqlite and postgresql")


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={} if "timeout" in url.query else {"timeout": LOCK_WAIT})

    @event.listens_for(engine, "do_connect")
    def create_private(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        """The file holds passwords: it is made for its owner alone."""
        name = str(arguments[0]) if arguments else ""
        if name and not name.startswith((":memory:", "file:")):
            _touch_private(Path(name))

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("serval_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _touch_private(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return  # it exists, or SQLite itself says better what is wrong


def _postgresql(url: URL, brisk: bool) -> Engine:
    own = url.query.get("options", "")
    ours = f"{PG_OPTIONS} {PG_BRISK}" if brisk else PG_OPTIONS
    options = f"{ours} {own if isinstance(own, str) else ' '.join(own)}".strip()
    plain = url.difference_update_query(["options"]).set(drivername="postgresql+psycopg2")
    return create_engine(
        plain,
        connect_args={**(PG_BRISK_ARGUMENTS if brisk else PG_ARGUMENTS), "options": options},
        pool_pre_ping=True,
        pool_timeout=LOCK_WAIT,
        pool_recycle=1800,
    )


def has_password(url: str) -> bool:
    """Whether a URL holds a password; one that cannot be read may."""
    try:
        return make_url(url).password is not None
    except ArgumentError:
        return "@" in url


def where(engine: Engine) -> str:
    """The database in an administrator's words, without user and password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return f"SQLite database {url.database or ':memory:'}"
    host = url.host or url.query.get("host") or "local socket"
    return f"PostgreSQL database {url.database} on {host}" + (f":{url.port}" if url.port else "")


def settings(engine: Engine) -> dict[str, str]:
    """The database as `lsxcatd -d` names it: engine, name, host and user, never the password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return {"dbengine": "SQLite", "dbloc": url.database or ":memory:"}
    host = url.host or str(url.query.get("host", "")) or "localhost"
    name, user = url.database or "", url.username or ""
    return {
        "cfgloc": f"Pg:dbname={name};host={host}|{user}",
        "dbengine": "Pg",
        "dbname": name,
        "dbhost": host,
        "dbadmin": user,
    }


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one snapshot of the database and changes nothing.

    Raises UnavailableError when the database does not answer.
    """
    with _errors_translated(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in one transaction, committed at the end and rolled back on any exception.

    Raises UnavailableError when the database does not answer or stays locked, DefinitionError when it refuses
    a value. After an UnavailableError nobody knows whether the commit happened.
    """
    with _errors_translated(engine), engine.connect() as connection:
        connection.execution_options(serval_writing=True)
        with connection.begin():
            yield connection


def one_writer(connection: Connection) -> None:
    """Wait until no other transaction that called this is open; it ends with the transaction.

    SQLite has one writer anyway; on PostgreSQL this makes read-then-write commands one after another.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})


@contextmanager
def _errors_translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, TimeoutError) as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        cause = getattr(error, "orig", None) or error
        words = " ".join(str(cause).split())
        raise meaning(f"{where(engine)}: {words}{_hint(engine, error)}") from None


def _hint(engine: Engine, error: DBAPIError | TimeoutError) -> str:
    """What to do about an error, where the database does not say it."""
    if getattr(getattr(error, "orig", None), "pgcode", None) != PG_INSUFFICIENT_PRIVILEGE:
        return ""
    return (
        f": the role {engine.url.username} may not; a service node may not do all, ask on the management node"
    )


def _meaning(error: DBAPIError | TimeoutError) -> type[ServalError] | None:
    if getattr(error, "connection_invalidated", False):
        return UnavailableError
    if getattr(getattr(error, "orig", None), "pgcode", None) == PG_INSUFFICIENT_PRIVILEGE:
        return UnavailableError
    return MEANING.get(type(error))


def _forget_in_child() -> None:
    """A forked child must neither use nor close its parent's connections."""
    for engine in _engines.values():
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_in_child)
