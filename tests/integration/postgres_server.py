"""A PostgreSQL server of our own on a free port, of loopback or of another host, for one run of the tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError

from drivers.freeport import free_port

PASSWORD = "loopback-only"
PATIENCE = 30
#: A database a test is mostly files copied and removed: in memory that is quick.
MEMORY = Path("/dev/shm")
MEMORY_WANTED = 2 << 30
#: Durability is the server's business, not these tests'.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "log_statement": "none"}


def binaries() -> Path | None:
    """Where initdb and postgres are, the newest version of them; None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    here = shutil.which("initdb")
    return found[-1].parent if found else Path(here).parent if here else None


#: What tests run on. Without PostgreSQL a laptop tests SQLite alone; CI fails instead.
DATABASES = ["sqlite", "postgres"] if binaries() or os.environ.get("CI") else ["sqlite"]


def _place() -> Path | None:
    """In memory where there is room (a container often has 64 MB there), else where temporary files go."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_WANTED else None


class PostgresServer:
    """Started by `start`, ended by `stop`; databases are made from templates.

    `inside` are the words that start a command on the host where it is to listen on `address`.
    """

    def __init__(
        self,
        programs: Path,
        settings: Mapping[str, str] = SETTINGS,
        place: Path | None = None,
        inside: Sequence[str] = (),
        address: str = "127.0.0.1",
    ) -> None:
        self._programs = programs
        self._inside = inside
        self._address = address
        self._settings = settings
        self._home = Path(tempfile.mkdtemp(prefix="serval-postgres-", dir=place or _place()))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, password and all."""
        made = URL.create("postgresql+psycopg2", "serval", PASSWORD, self._address, self.port, database)
        return made.render_as_string(hide_password=False)

    def local_url(self, database: str) -> str:
        """The same over the server's Unix socket, which every network namespace reaches."""
        made = URL.create("postgresql+psycopg2", "serval", PASSWORD, None, self.port, database)
        return made.set(query={"host": str(self._home)}).render_as_string(hide_password=False)

    @property
    def pid(self) -> int:
        """Its main process; 0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Make the data directory and run the server."""
        secret = self._home / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self._home, user.pw_uid, user.pw_gid)
            os.chown(secret, user.pw_uid, user.pw_gid)
        make = ["initdb", "-D", "data", "-U", "serval", "-A", "scram-sha-256", "--pwfile=password"]
        self._run([*make, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]).check_returncode()
        with (self._home / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")
        self.run()

    def run(self) -> None:
        """Run the server on its data until it answers; what was halted works again."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user(), str(self._programs / "postgres"), "-D", "data", "-h", self._address,
                 "-p", str(self.port), "-k", str(self._home), *options],
                cwd=self._home, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        """End the server and remove what it wrote."""
        self.halt()
        shutil.rmtree(self._home)

    def halt(self) -> None:
        """Cut all connections and end the server; its data stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction, as CREATE DATABASE wants it."""
        engine = create_engine(self.local_url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        program = str(self._programs / command[0])
        return subprocess.run(
            [*self._as_user(), program, *command[1:]], cwd=self._home, capture_output=True, check=False
        )

    def _as_user(self) -> list[str]:
        """PostgreSQL refuses to run as root; and it ends with the tests, even when they are killed."""
        user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        return [*self._inside, "setpriv", "--pdeathsig=INT", *user, "--"]

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
                return
            except OperationalError:
                if time.monotonic() > end:
                    raise RuntimeError((self._home / "log").read_text()) from None
                time.sleep(0.05)
