"""A service node of a test's own: a network namespace, a root folder that daemons may read, a database.

The namespace belongs to the thread that the test runs in (unshare(2)), so every daemon that is started there
lives in it and may have its usual port.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert

from core.netdoc import NAME, NetworksDoc
from core.services.wanted import Result
from core.wanted import Kind
from db import nodestatus
from db.engine import Engine, open_engine, reading, writing
from db.home import Home, make_home
from db.lookup import effective
from db.tables import TABLES
from db.wanted import put
from drivers.services.records import Records
from drivers.services.runner import Supervised
from routing.services import set_up

CLONE_NEWNET = 0x40000000


def in_own_network(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a thread with a network namespace of its own, its loopback up."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        def inside() -> None:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, f"no network namespace (root is needed): {os.strerror(number)}")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            test(*args, **kwargs)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(inside).result()

    return run


def wire(name: str, address: str) -> None:
    """An interface of this thread's namespace with an address, and something at its other end."""
    for words in (
        f"link add {name} type veth peer name {name}-far",
        f"address add {address} dev {name}",
        f"link set {name} up",
        f"link set {name}-far up",
    ):
        subprocess.run(["ip", *words.split()], check=True)


@dataclass
class Sn:
    """One service node, `sn1`."""

    home: Home
    engine: Engine
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def runner(self) -> Supervised:
        """What keeps its daemons."""
        return Supervised(Records(self.home.run / "services" / self.home.name), self.home.logs / "sn1")

    def tables(self, site: dict[str, str], **services: str) -> None:
        """Write the site table and the row of sn1 anew."""
        with writing(self.engine) as connection:
            for name in ("site", "servicenode", "nodelist"):
                connection.execute(delete(TABLES[name]))
            for key, value in {"master": "mn1", "sharedtftp": "0", **site}.items():
                connection.execute(insert(TABLES["site"]).values(key=key, value=value))
            connection.execute(insert(TABLES["nodelist"]).values(node="sn1", groups="service"))
            connection.execute(insert(TABLES["servicenode"]).values(node="sn1", **services))

    def node(self, name: str, table: str, **columns: str) -> None:
        """A node with a row in a table, beside those of `tables`."""
        with writing(self.engine) as connection:
            connection.execute(insert(TABLES["nodelist"]).values(node=name, groups="all"))
            connection.execute(insert(TABLES[table]).values(node=name, **columns))

    def row(self, table: str, **columns: str) -> None:
        """A row of a table."""
        with writing(self.engine) as connection:
            connection.execute(insert(TABLES[table]).values(**columns))

    def statuses(self, **written: str) -> dict[str, str]:
        """Write nodelist.status of some nodes; what it is of all that have one."""
        with writing(self.engine) as connection:
            nodestatus.write(connection, written, 0)
        with reading(self.engine) as connection:
            values = effective(connection, {"nodelist": ["status"]})
        return {node: row["nodelist.status"] for node, row in values.items() if row}

    def networks(self, doc: NetworksDoc) -> None:
        """What makedhcp -n writes."""
        with writing(self.engine) as connection:
            put(connection, Kind.SERVICE, {NAME: (("sn1",), doc.to_text())})

    def set_up(self, *, only_check: bool = False) -> dict[str, Result]:
        """Set its services up; what became of each."""
        return {one.service: one for one in set_up(self.home, self.engine, only_check=only_check)}

    def told(self) -> dict[str, tuple[str, str]]:
        """Set its services up; service → state and sentence."""
        return {name: (str(one.state), one.sentence) for name, one in self.set_up().items()}

    def pid(self, daemon: str) -> int:
        """The process of one of its daemons, 0 when Serval runs none."""
        return self.runner.running(daemon)

    def path(self, named: str) -> Path:
        """A path of its host."""
        return self.home.host_path(named)

    def stranger(self, *command: str) -> subprocess.Popen[bytes]:
        """A process that Serval did not start."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.others.append(process)
        return process

    def end(self) -> None:
        """End what it started."""
        for process in self.others:
            process.kill()
            process.wait()
        for name in self.runner.records.names():
            record = self.runner.records.read(name)
            if record and self.pid(name):
                with suppress(ProcessLookupError):
                    os.killpg(record.pid, signal.SIGKILL)


@contextmanager
def service_node(url: str) -> Iterator[Sn]:
    """A service node on the database of this URL; everything of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="serval-services-"))
    folder.chmod(0o755)  # daemons read as users of their own
    make_home(folder / "home")
    (folder / "root").mkdir()
    home = Home(path=folder / "home", database=url, broker=None, name="sn1", mn="mn1", root=folder / "root")
    node = Sn(home, open_engine(url))
    try:
        yield node
    finally:
        node.end()
        shutil.rmtree(folder)
