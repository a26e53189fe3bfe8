"""The cluster that is measured: a box with a durable PostgreSQL on disk, or with SQLite."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import UnavailableError
from core.fold import fold
from lab.box import Box
from tests.integration.postgres_server import PostgresServer, binaries

DISK = Path(tempfile.gettempdir())
#: Nothing but room for connections: fsync, full_page_writes and synchronous_commit stay on.
DURABLE = {"max_connections": "200"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running box; half of the nodes of any size are served by sn1 first, the other half by sn2."""

    box: Box
    database: str
    server: PostgresServer | None

    def numbers(self, size: int) -> list[int]:
        """The numbers of so many nodes, from 1."""
        half = self.box.bmcs // 2
        first = (size + 1) // 2
        return [*range(1, first + 1), *range(half + 1, half + 1 + size - first)]

    def noderange(self, size: int) -> str:
        """So many nodes, folded."""
        width = len(str(self.box.bmcs))
        return fold([f"n{number:0{width}}" for number in self.numbers(size)])

    def addresses(self, size: int) -> list[str]:
        """Their BMCs."""
        return [self.box.address(number) for number in self.numbers(size)]

    @property
    def port(self) -> int:
        """The UDP port of all BMCs."""
        return int(self.box.control.hello()["port"])


@contextmanager
def cluster(database: str, bmcs: int) -> Iterator[Cluster]:
    """A cluster on "PostgreSQL" or "SQLite" that is ended with the block."""
    folder = Path(tempfile.mkdtemp(prefix="serval-bench-"))
    server = _postgres() if database == "PostgreSQL" else None
    box = Box(folder, bmcs, database=server.url("bench") if server else None)
    try:
        box.start()
        yield Cluster(box, database, server)
    finally:
        with suppress(UnavailableError):
            box.stop()
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _postgres() -> PostgresServer:
    programs = binaries()
    if programs is None:
        raise SystemExit("bench needs PostgreSQL: make packages")
    server = PostgresServer(programs, DURABLE, DISK)
    server.start()
    server.execute("CREATE DATABASE bench")
    return server
