"""The name of a machine that is logged in to over ssh; without paramiko, which costs a command 0.1 s."""

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import RequestError

NAMED = re.compile(r"(?:root@)?([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Login:
    """Root on a machine; `folder` has known_hosts and the private keys, as ssh(1) names them."""

    host: str
    port: int
    folder: Path

    def __str__(self) -> str:
        return self.host if self.port == 22 else f"{self.host}:{self.port}"


def login(text: str, folder: Path | None = None) -> Login:
    """`HOST`, `root@HOST`, `HOST:PORT`. Raises RequestError."""
    found = NAMED.fullmatch(text)
    if not found or not 0 < int(found[2] or 22) < 65536:
        raise RequestError(f"{text[:80]!r} is no host to log in to as root: write HOST or HOST:PORT")
    return Login(found[1], int(found[2] or 22), folder or own_folder())


def own_folder() -> Path:
    """`.ssh` of the user who runs this, whatever HOME says."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
