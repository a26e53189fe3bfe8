"""Migrations: they make exactly the declared tables, and any number of processes may ask for them."""

import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres_server import DATABASES, PostgresServer
from sqlalchemy import inspect

from db import schema
from db.base import metadata
from db.engine import open_engine, reading, writing


def test_the_migrations_make_the_declared_tables(database_url: str) -> None:
    with reading(open_engine(database_url)) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_program_knows_the_newest_revision() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    assert scripts.get_heads() == [schema.HEAD]


def _upgrade(url: str) -> None:
    schema.upgrade(open_engine(url))


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    server.execute("CREATE DATABASE fresh")
    return server.url("fresh")


def test_many_processes_make_one_database(empty_url: str) -> None:
    processes = [multiprocessing.Process(target=_upgrade, args=(empty_url,)) for _ in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    with reading(open_engine(empty_url)) as connection:
        assert set(metadata.tables) < set(inspect(connection).get_table_names())
    open_engine(empty_url).dispose()


def test_a_newer_database_is_left_alone(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    schema.upgrade(engine)
    with reading(engine) as connection:
        assert schema.revision(connection) == "9999"
