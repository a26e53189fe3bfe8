"""`serval db grant`: a service node's role on a real PostgreSQL, made by a role that is no superuser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.command import downgrade
from alembic.config import Config
from commands import Shell
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from db import schema
from db.engine import PG_INSUFFICIENT_PRIVILEGE, open_engine

OWNER = "grants_owner"


@pytest.fixture(scope="module")
def owner_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of a role that may make roles."""
    postgres_server.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    postgres_server.execute(f"CREATE DATABASE granted OWNER {OWNER}")
    url = make_url(postgres_server.url("granted")).set(username=OWNER)
    yield url.render_as_string(hide_password=False)


@pytest.fixture
def shell(owner_url: str, tmp_path: Path) -> Iterator[Shell]:
    """The management node."""
    yield Shell({**os.environ, "SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": owner_url}, tmp_path)
    open_engine(owner_url).dispose()


def granted(shell: Shell, sn: str) -> str:
    """The URL of a service node."""
    answer = shell.run(f"serval db grant {sn}")
    assert answer.status == 0, answer
    assert "by which the service node reaches it" in answer.err
    return answer.out.strip()


def can(url: str, statement: str) -> bool:
    """Whether a role may do it; nothing of it stays."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        assert getattr(error.orig, "pgcode", None) == PG_INSUFFICIENT_PRIVILEGE, error
        return False
    finally:
        engine.dispose()
    return True


def test_it_sees_no_password_and_changes_its_own_rows(shell: Shell) -> None:
    url = granted(shell, "sn1")
    allowed = (
        "SELECT * FROM nodelist",
        "SELECT * FROM site",
        "SELECT * FROM job JOIN job_node ON job.id = job_node.job_id",
        "UPDATE job_node SET state = 'done'",
        "INSERT INTO event (job_id, at, kind, nodes, message) VALUES (1, 1, 'x', '', '')",
        "INSERT INTO member (name, public, joined) VALUES ('sn1', 'x', 1) ON CONFLICT (name) DO NOTHING",
        "UPDATE attempt SET beat = beat + 1 WHERE id = 1",
        "SELECT id FROM attempt FOR UPDATE",
    )
    denied = (
        "SELECT * FROM ipmi",
        "SELECT password FROM passwd",
        "SELECT count(*) FROM openbmc",
        "SELECT community FROM pdu",
        "DELETE FROM nodelist",
        "INSERT INTO nodelist (node) VALUES ('x')",
        "INSERT INTO job_node (job_id, node) VALUES (1, 'x')",
        "UPDATE job_node SET attempt = 1",
        "UPDATE attempt SET sn = 'sn1'",
        "INSERT INTO member (name, public, joined) VALUES ('sn2', 'x', 1)",
        "DELETE FROM member",
        "DROP TABLE event",
        "SET ROLE grants_owner",
    )
    assert [one for one in allowed if not can(url, one)] == []
    assert [one for one in denied if can(url, one)] == []


def test_asked_again_it_gets_another_password(shell: Shell, tmp_path: Path) -> None:
    first = granted(shell, "sn2")
    answer = shell.run("serval db grant sn2 --password-file sn2.url")
    file = tmp_path / "sn2.url"
    assert answer.status == 0
    assert file.stat().st_mode & 0o077 == 0
    second = file.read_text().strip()
    assert make_url(second).password not in answer.out
    assert first != second
    assert can(second, "SELECT 1")
    with pytest.raises(OperationalError, match="password authentication failed"):
        can(first, "SELECT 1")


def test_what_cannot_be_a_service_node(shell: Shell, postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE ROLE granted_boss")
    for words in ("", "boss", "'sn1; DROP'", "a/b", "'x\"y'", "n" * 80):
        answer = shell.run(f"serval db grant {words}")
        assert answer.status == 1, words
        assert "Traceback" not in answer.err


def test_a_role_that_may_make_none_is_told(
    shell: Shell, postgres_server: PostgresServer, owner_url: str
) -> None:
    postgres_server.execute(f"ALTER ROLE {OWNER} NOCREATEROLE")
    try:
        answer = shell.run("serval db grant sn3")
        assert answer.status == 1
        assert f"ALTER ROLE {OWNER} CREATEROLE" in answer.err
    finally:
        postgres_server.execute(f"ALTER ROLE {OWNER} CREATEROLE")


def test_an_upgrade_renews_the_rights(shell: Shell) -> None:
    """Tables that came with it are open too, and what was given by hand is not."""
    url = granted(shell, "sn1")
    engine = open_engine(shell.env["SERVAL_DATABASE"])
    with engine.begin() as connection:
        connection.exec_driver_sql("REVOKE SELECT ON networks FROM granted_service_nodes")
        connection.exec_driver_sql("GRANT SELECT ON ipmi TO granted_service_nodes")
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        downgrade(config, "-1")
    assert not can(url, "SELECT * FROM networks")
    shell.ok("serval db upgrade")
    assert can(url, "SELECT * FROM networks")
    assert not can(url, "SELECT * FROM ipmi")


def test_a_database_may_have_any_name(postgres_server: PostgresServer, tmp_path: Path) -> None:
    name = """o'd%d :db"""
    postgres_server.execute(f'CREATE DATABASE "{name}"'.replace(":", "\\:"))
    url = make_url(postgres_server.url("x")).set(database=name).render_as_string(hide_password=False)
    shell = Shell({**os.environ, "SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": url}, tmp_path)
    own = granted(shell, "sn1")
    assert can(own, "UPDATE member SET certificate = 'x'")
    assert not can(own, "SELECT * FROM ipmi")
    open_engine(url).dispose()


def test_sqlite_has_no_roles(sqlite_url: str, tmp_path: Path) -> None:
    shell = Shell(
        {**os.environ, "SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": sqlite_url}, tmp_path
    )
    answer = shell.run("serval db grant sn1")
    assert (answer.status, answer.out) == (1, "")
    assert "only PostgreSQL has roles" in answer.err
