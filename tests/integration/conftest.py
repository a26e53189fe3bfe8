"""Databases for integration tests: a fresh one for each test, on SQLite and on a real PostgreSQL."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import DATABASES, PostgresServer, binaries

from db import schema
from db.engine import open_engine
from drivers.services import redis as embedded

#: Network namespaces are for root. On a laptop the others are tested; CI fails instead.
collect_ignore = (
    []
    if os.geteuid() == 0 or os.environ.get("CI")
    else [
        "test_image_copies.py",
        "test_builds_killed.py",
        "test_image_bundles.py",
        "test_images.py",
        "test_imgcapture.py",
        "test_image_worker.py",
        "test_images_dnf.py",
        "test_images_remote.py",
        "test_images_reuse.py",
        "test_rmimage.py",
        "test_services.py",
        "test_update_images.py",
    ]
)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.RunningRedis]:
    """A Redis of this module's own."""
    folder = tmp_path_factory.mktemp("redis")
    running = embedded.start(folder / "data", folder / "log")
    yield running
    embedded.stop(running.pid)


@pytest.fixture(scope="module")
def redis_url(redis: embedded.RunningRedis) -> str:
    """Its URL."""
    return redis.url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite file to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = open_engine(f"sqlite:///{file}")
    schema.upgrade(engine)
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server, with an upgraded database `template` in it."""
    programs = binaries()
    if programs is None:
        pytest.fail("PostgreSQL is not installed: make packages")
    server = PostgresServer(programs)
    try:
        server.start()
        server.execute("CREATE DATABASE template")
        engine = open_engine(server.url("template"))
        schema.upgrade(engine)
        engine.dispose()
        yield server
    finally:
        server.stop()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> Iterator[str]:
    """A SQLite database of this test's own."""
    file = tmp_path / "serval.db"
    shutil.copy(sqlite_template, file)
    url = f"sqlite:///{file}"
    yield url
    open_engine(url).dispose()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of this test's own."""
    name = f"test{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template")
    url = postgres_server.url(name)
    yield url
    open_engine(url).dispose()
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Each test with this runs on both databases."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def home_env(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a command whose home is new and whose database is this test's."""
    return {**os.environ, "SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": database_url}
