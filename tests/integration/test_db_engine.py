"""Transactions, bulk statements and errors of both databases."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import and_, func, select

from core.errors import DefinitionError, RequestError, UnavailableError
from db.bulk import CHUNK, bulk_insert, bulk_update
from db.engine import one_writer, open_engine, reading, writing
from db.jobtables import member
from db.tables import ipmi, nodehm, passwd, site

AWKWARD = ['"', "'", "\\", "%s", ":name", "{}", "a\nb", "$1", "é€𝄞", "NULL", "[1]", "\u2028"]


def test_bulk_rows_of_every_kind_of_text(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        bulk_insert(connection, site, [{"key": text, "value": None} for text in AWKWARD])
        changed = bulk_update(
            connection, site, ["key"], ["value", "comments"], [(text, text, None) for text in AWKWARD],
            returning=["key", "value", "comments"],
        )  # fmt: skip
    assert sorted(tuple(row) for row in changed) == sorted((text, text, None) for text in AWKWARD)


def test_update_touches_the_rows_it_may_and_no_other(database_url: str) -> None:
    engine = open_engine(database_url)
    count = CHUNK + 7
    with writing(engine) as connection:
        rows = [{"node": f"n{i}", "mgt": "ipmi" if i % 2 else "hmc"} for i in range(count)]
        bulk_insert(connection, nodehm, rows)
        changed = bulk_update(
            connection, nodehm, ["node"], ["power"], [(f"n{i}", "x") for i in range(1, count + 5)],
            extra_where=and_(nodehm.c.mgt == "ipmi", nodehm.c.power.is_(None)), returning=["node"],
        )  # fmt: skip
        again = bulk_update(
            connection, nodehm, ["node"], ["power"], [("n1", "y")],
            extra_where=nodehm.c.power.is_(None), returning=["node"],
        )  # fmt: skip
    assert {row.node for row in changed} == {f"n{i}" for i in range(1, count, 2)}
    assert again == []
    with reading(engine) as connection:
        counted = connection.execute(select(func.count()).where(nodehm.c.power == "x")).scalar()
    assert counted == len(changed)


def test_upsert_leaves_the_other_columns(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        bulk_insert(connection, ipmi, [{"node": "n1", "bmc": "b1", "username": "u"}])
        bulk_insert(connection, ipmi, [{"node": n, "bmc": "new"} for n in ("n1", "n2")], replace_on=["node"])
        bulk_insert(connection, ipmi, [{"node": "n1"}], replace_on=["node"])
        bulk_insert(connection, ipmi, [])
        found = connection.execute(select(ipmi.c.node, ipmi.c.bmc, ipmi.c.username).order_by("node")).all()
    assert [tuple(row) for row in found] == [("n1", "new", "u"), ("n2", "new", None)]


def test_numbers_keep_their_type(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        bulk_insert(connection, member, [{"name": "sn1", "public": "k", "joined": 1.5}])
        rows = [("sn1", 1234567890.125)]
        (row,) = bulk_update(connection, member, ["name"], ["joined"], rows, returning=["joined"])
    assert row.joined == 1234567890.125


def test_an_exception_undoes_everything(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        bulk_insert(connection, site, [{"key": "a", "value": "1"}])
        raise ZeroDivisionError
    with reading(engine) as connection:
        assert connection.execute(select(site)).all() == []


def test_a_refused_value_is_a_definition_error(database_url: str) -> None:
    with pytest.raises(DefinitionError) as caught, writing(open_engine(database_url)) as connection:
        bulk_insert(connection, passwd, [{"key": "ipmi", "username": "u", "password": "sesame"}] * 2)
    assert "sesame" not in str(caught.value)


def test_a_reader_sees_one_moment(database_url: str) -> None:
    engine = open_engine(database_url)
    count = select(func.count()).select_from(site)
    with reading(engine) as connection:
        assert connection.execute(count).scalar() == 0
        with writing(engine) as other:
            bulk_insert(other, site, [{"key": "a", "value": "1"}])
        assert connection.execute(count).scalar() == 0
    with reading(engine) as connection:
        assert connection.execute(count).scalar() == 1


def test_a_forked_child_has_connections_of_its_own(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        bulk_insert(connection, site, [{"key": "parent", "value": "1"}])
    with reading(engine) as held:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with writing(open_engine(database_url)) as connection:
                    bulk_insert(connection, site, [{"key": "child", "value": "1"}])
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        held.execute(select(site)).all()
    with reading(engine) as connection:
        assert {row.key for row in connection.execute(select(site))} == {"parent", "child"}


def test_one_writer_is_taken_and_given_back(database_url: str) -> None:
    for _ in range(2):
        with writing(open_engine(database_url)) as connection:
            one_writer(connection)


def test_postgres_that_is_not_there() -> None:
    url = "postgresql://serval:sesame@127.0.0.1:1/serval"
    with pytest.raises(UnavailableError) as caught, reading(open_engine(url)):
        pass
    assert "PostgreSQL database serval on 127.0.0.1:1" in caught.value.message
    assert "sesame" not in caught.value.message


def test_postgres_that_goes_away_in_the_middle(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with pytest.raises(UnavailableError), writing(engine) as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    with reading(engine) as connection:
        assert connection.execute(select(site)).all() == []


def test_postgres_with_a_wrong_password(postgres_url: str) -> None:
    wrong = postgres_url.replace("loopback-only", "sesame")
    with pytest.raises(UnavailableError) as caught, reading(open_engine(wrong)):
        pass
    assert "sesame" not in caught.value.message


def test_sqlite_that_cannot_be_opened(tmp_path: Path) -> None:
    file = tmp_path / "no" / "serval.db"
    with pytest.raises(UnavailableError, match=str(file)), reading(open_engine(f"sqlite:///{file}")):
        pass


def test_sqlite_file_that_is_something_else(tmp_path: Path) -> None:
    file = tmp_path / "letter"
    file.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(UnavailableError, match="not a database"), reading(open_engine(f"sqlite:///{file}")):
        pass


def test_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "private.db"
    with writing(open_engine(f"sqlite:///{file}")) as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (mode, synchronous) == ("wal", 2)


def test_sqlite_that_stays_locked(sqlite_url: str) -> None:
    engine = open_engine(f"{sqlite_url}?timeout=0.1")
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(UnavailableError, match="locked"), writing(engine):
            pass
    finally:
        other.close()
        engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:sesame@host/db", "postgresql"])
def test_urls_that_serval_cannot_use(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_engine(url)
    assert "sesame" not in caught.value.message
