"""The image of profile `service` for the laboratory: made by Serval's own commands, and looked through."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.errors import UnavailableError
from lab.image import run
from lab.laboratory import wait_until

IMAGE = ("-o", "debian12", "-p", "service")
FOLDER = "root/install/netboot/debian12/x86_64/service"
#: Shorter words than a secret has.
LEAST = 12


def build(folder: Path) -> tuple[Path, str]:
    """Make the image, or find that it is as it should be; its rootimgdir, and root's password.

    Raises UnavailableError when something of the management node that made it is in the packed tree.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    word = folder / "password"
    if not word.exists():
        word.touch(0o600)
        word.write_text(secrets.token_hex(12), encoding="utf-8")
    password = word.read_text(encoding="utf-8")
    wait_until(lambda: is_up(folder), lambda: f"serval up in {folder} does not come up")
    try:
        serval(folder, "chtab", "key=system", "passwd.username=root", f"passwd.password={password}")
        for command in ("genimage", "packimage"):
            serval(folder, command, *IMAGE)
        known = {password.encode(), *secrets_of(folder / "home")}
    finally:
        serval(folder, "serval", "down")
    place = folder / FOLDER
    with tempfile.TemporaryDirectory(dir=folder, prefix=".look-") as work:
        tree = Path(work) / "tree"
        run("unsquashfs", "-no-progress", "-quiet", "-dest", str(tree), str(place / "rootimg.sfs"))
        if found := [str(file.relative_to(tree)) for file in holding(tree, known)]:
            raise UnavailableError(f"secrets of the management node are in the image: {', '.join(found)}")
    return place, password


def is_up(folder: Path) -> bool:
    """Whether `serval up` says so; it gives up early on a machine that is busy, and may be asked again."""
    try:
        serval(folder, "serval", "up")
    except UnavailableError:
        return False
    return True


def serval(folder: Path, *words: str) -> None:
    """Run a command on the management node of this folder. Raises UnavailableError."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SERVAL_")}
    env |= {"SERVAL_HOME": str(folder / "home"), "SERVAL_ROOT": str(folder / "root")}
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{words[0]} {words[1]}: {(done.stderr or done.stdout).strip()[-2000:]}")


def secrets_of(home: Path) -> set[bytes]:
    """Redis's password, and every line of the keys that a management node has."""
    broker = (home / "run/broker").read_text(encoding="utf-8").strip()
    found = {broker.rpartition("@")[0].rpartition(":")[2].encode()}
    for file in (home / "keys").rglob("*"):
        if file.is_file():
            found |= {line for line in file.read_bytes().splitlines() if not line.startswith(b"-----")}
    return {word for word in found if len(word) >= LEAST}


def holding(tree: Path, words: Iterable[bytes]) -> Iterator[Path]:
    """The files of a tree in which one of the words is."""
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if any(word in content for word in words):
                yield file
