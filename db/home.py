"""SERVAL_HOME: the one directory an instance lives in, and the few settings that are not in the site table.

`serval.toml` in the home, or /etc/serval/serval.toml, may set `database`, `broker`, `name`, `root`, `mn`,
`server`, `listen` and `status_port`; SERVAL_DATABASE, SERVAL_BROKER … override it. Everything else is a
cluster setting: site table.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import RequestError

SYSTEM_FILE = Path("/etc/serval/serval.toml")
KEYS = ("database", "broker", "name", "root", "mn", "server", "listen", "status_port")


@dataclass(frozen=True, slots=True)
class Home:
    """Where an instance lives and what it talks to. `broker` and `database` may hold passwords."""

    path: Path
    #: SQLAlchemy URL.
    database: str = field(repr=False)
    #: Redis URL; None means the embedded Redis, whose URL `serval up` writes to `broker_file`.
    broker: str | None = field(repr=False)
    #: The name of the MN or SN that this host is.
    name: str
    #: The name of the MN that it belongs to; on the MN its own.
    mn: str
    #: `HOST:PORT` of the MN's command server: set on an SN, which then leaves to it whatever writes.
    server: str | None = None
    #: `ADDRESS:PORT` where the MN's command server hears SNs.
    listen: str | None = None
    #: Folders that tables name (tftpdir, installdir …) lie below this one; several service nodes on one host
    #: have one each.
    root: Path = Path("/")
    #: The port on which nodes report their status to this host; None: site.xcatiport, 0: any free one, of
    #: this host alone.
    status_port: int | None = None

    def host_path(self, named: str) -> Path:
        """Where a path that a table names lies on this host. Raises RequestError when it is not absolute."""
        if not named.startswith("/") or ".." in named.split("/") or "\0" in named:
            raise RequestError(f"{named!r} is no absolute path without '..'")
        return self.root / named.lstrip("/")

    @property
    def broker_file(self) -> Path:
        """Where the embedded Redis's URL is kept, mode 0600."""
        return self.path / "run" / "broker"

    @property
    def keys(self) -> Path:
        """Private keys of this host, mode 0700."""
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        """Log files of the daemons that Serval starts."""
        return self.path / "log"

    @property
    def run(self) -> Path:
        """Pid files, sockets and the like: gone after a stop without harm."""
        return self.path / "run"

    def broker_url(self) -> str | None:
        """The Redis URL in force now: the configured one, else the embedded one's, else None."""
        if self.broker:
            return self.broker
        try:
            return self.broker_file.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None


def default_path(env: Mapping[str, str], uid: int) -> Path:
    """The home of an instance that was told nothing else."""
    if uid == 0:
        return Path("/var/lib/serval")
    base = env.get("XDG_DATA_HOME") or str(Path(env.get("HOME", "/")) / ".local" / "share")
    return Path(base) / "serval"


def open_home(env: Mapping[str, str] | None = None) -> Home:
    """The home that this environment names, made when it does not exist.

    Raises RequestError when a configuration file cannot be read or holds an unknown key.
    """
    env = os.environ if env is None else env
    path = Path(env.get("SERVAL_HOME") or default_path(env, os.getuid())).absolute()
    make_home(path)
    values = read_settings(path / "serval.toml") or read_settings(SYSTEM_FILE)
    for key in KEYS:
        if word := env.get(f"SERVAL_{key.upper()}"):
            values[key] = word
    check_settings(values)
    name = values.get("name", "mn1")
    return Home(
        path=path,
        database=values.get("database") or f"sqlite:///{path / 'serval.db'}",
        broker=values.get("broker"),
        name=name,
        mn=values.get("mn", name),
        server=values.get("server"),
        listen=values.get("listen"),
        root=Path(values.get("root", "/")).absolute(),
        status_port=int(values["status_port"]) if "status_port" in values else None,
    )


def check_settings(values: Mapping[str, str]) -> None:
    """Raises RequestError for settings that mean nothing, alone or together."""
    if "server" in values and "listen" in values:
        raise RequestError("'server' belongs to a service node and 'listen' to the management node: not both")
    if "server" in values and values.get("mn", values.get("name")) == values.get("name"):
        raise RequestError("a service node, which has 'server', needs 'name', its own, and 'mn', the other's")
    for key in ("server", "listen"):
        host, _, port = values.get(key, "any:1").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise RequestError(f"'{key}' must be HOST:PORT, not '{values[key]}'")
    port = values.get("status_port", "0")
    if not port.isdecimal() or int(port) > 65535:
        raise RequestError(f"'status_port' must be the number of a port, not '{port}'")


def make_home(path: Path) -> None:
    """Create the home and its folders, readable by the owner alone."""
    try:
        for folder in (path, path / "run", path / "keys", path / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"SERVAL_HOME {path} cannot be used: {error.strerror}") from error


def read_settings(file: Path) -> dict[str, str]:
    """The settings in one file; empty when it does not exist."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"{file}: {error}") from error
    for key, value in found.items():
        if key not in KEYS:
            raise RequestError(f"{file}: unknown setting '{key}'; known are {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise RequestError(f"{file}: '{key}' must be a text in quotes")
    return found
