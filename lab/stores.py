"""PostgreSQL and Redis of the laboratory's management node, on its address, each with a password.

They forget everything with the run, so neither waits for a disk. Both are ended with their namespace.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UnavailableError
from lab.namespaces import Namespaces

POSTGRES_PORT, REDIS_PORT = 5432, 6379
DATABASE = "serval"
READY_S = 30.0
FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass(slots=True)
class Stores:
    """Both servers on the host `role`, which has `address`; `network` may ask them."""

    spaces: Namespaces
    role: str
    address: str
    network: str
    _password: str = field(default_factory=lambda: secrets.token_hex(12), repr=False)

    @property
    def database(self) -> str:
        """SQLAlchemy URL, password and all."""
        place = f"{self.address}:{POSTGRES_PORT}/{DATABASE}"
        return f"postgresql+psycopg2://{DATABASE}:{self._password}@{place}"

    @property
    def broker(self) -> str:
        """Redis URL, password and all."""
        return f"redis://:{self._password}@{self.address}:{REDIS_PORT}/0"

    def start(self) -> None:
        """Start both, and return when they answer. Raises UnavailableError."""
        self._start_redis()
        self._start_postgres()

    def _start_redis(self) -> None:
        folder = self.spaces.folder / "redis"
        folder.mkdir(mode=0o700)
        settings = [f"bind {self.address}", f"port {REDIS_PORT}", f"requirepass {self._password}"]
        settings += [f"dir {folder}", 'save ""']
        (folder / "redis.conf").write_text("\n".join(settings) + "\n", encoding="utf-8")
        self._spawn("redis", "redis-server", str(folder / "redis.conf"))

    def _start_postgres(self) -> None:
        programs, folder = postgres_programs(), self.spaces.folder / "postgres"
        folder.mkdir(mode=0o700)
        secret = folder / "password"
        secret.write_text(self._password, encoding="utf-8")
        user = pwd.getpwnam("postgres")
        for path in (folder, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
        as_user = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        data = str(folder / "data")
        self._must(
            *as_user, f"{programs}/initdb", "-D", data, "-U", DATABASE, "-A", "scram-sha-256",
            f"--pwfile={secret}", "--locale=C.UTF-8", "-E", "UTF8", "--no-sync",
        )  # fmt: skip
        with (folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all all {self.network} scram-sha-256\n")
        options = [word for name, value in FAST.items() for word in ("-c", f"{name}={value}")]
        options += ["-h", self.address, "-p", str(POSTGRES_PORT), "-k", str(folder)]
        self._spawn("postgres", *as_user, f"{programs}/postgres", "-D", data, *options)
        place = ("-h", self.address, "-p", str(POSTGRES_PORT), "-U", DATABASE)
        deadline = time.monotonic() + READY_S
        while self._run(f"{programs}/pg_isready", *place).returncode != 0:
            if time.monotonic() > deadline:
                raise UnavailableError(f"PostgreSQL does not answer: {self.spaces.folder / 'postgres.log'}")
            time.sleep(0.05)
        self._must(f"{programs}/createdb", *place, DATABASE)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.spaces.inside(self.role, *command), env=os.environ | {"PGPASSWORD": self._password},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=READY_S, check=False,
        )  # fmt: skip

    def _must(self, *command: str) -> None:
        done = self._run(*command)
        if done.returncode != 0:
            raise UnavailableError(f"{command[0]}: exit status {done.returncode}: {done.stderr.strip()}")

    def _spawn(self, name: str, *command: str) -> None:
        self.spaces.spawn(self.role, command, self.spaces.folder / f"{name}.log")


def postgres_programs() -> Path:
    """Where initdb and postgres are, the newest version of them. Raises UnavailableError."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    here = shutil.which("initdb")
    if not found and here is None:
        raise UnavailableError("PostgreSQL is not installed: make packages")
    return found[-1].parent if found else Path(here or "").parent
