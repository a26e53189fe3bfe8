"""Two cluster boxes for the whole run, one on SQLite and one on PostgreSQL."""

import os
from collections.abc import Iterator

import pytest
from postgres_server import DATABASES, PostgresServer, binaries
from rig import Rig, open_rig

#: Network namespaces are for root. On a laptop the others are tested; CI fails instead.
ROOTS = ["test_cut_links.py", "test_images.py", "test_service_setup.py"]
collect_ignore = [] if os.geteuid() == 0 or os.environ.get("CI") else ROOTS

BMCS = 2400
#: Marked, because `make test-e2e` runs the tests on one database beside those on the other.
BOXES = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in DATABASES]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server with an empty database `box`."""
    programs = binaries()
    if programs is None:
        pytest.fail("PostgreSQL is not installed: make packages")
    server = PostgresServer(programs)
    try:
        server.start()
        server.execute("CREATE DATABASE box")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", params=BOXES)
def box_rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The box on one of the databases, for all tests that leave it well."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    rig = open_rig(tmp_path_factory.mktemp("box"), BMCS, server)
    yield rig
    rig.box.stop()
    rig.engine.dispose()


@pytest.fixture
def rig(box_rig: Rig) -> Iterator[Rig]:
    """A box where everything lives and all BMCs are well, at the beginning and again at the end."""
    box_rig.quiet()
    yield box_rig
    box_rig.heal()
