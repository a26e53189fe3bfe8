"""Serval's worker in the image of a service node: a virtual environment, and a unit that is off.

It has the management node's version, and exactly the versions of what it rests on there. Nothing of the
management node's configuration goes with it: the image is nobody's before it is configured.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError
from drivers.images.jail import Failed, Jail

NAME = "serval-cluster"
HOME = "/opt/serval"
#: Where the wheels lie in the image while they are installed.
WHEELS = "var/cache/serval-wheels"


@dataclass(frozen=True, slots=True)
class Worker:
    """Which Serval an image gets."""

    release: str
    #: Of the image's python3: `3.11`.
    python: str
    arch: str
    #: Of all files of Serval.
    digest: str
    #: `name==version` of what it rests on.
    pins: tuple[str, ...]


def install(worker: Worker, jail: Jail, root: Path, wheels: Path) -> None:
    """Install the worker from a folder of wheels, with the image's own Python. Raises DefinitionError."""
    inside = root / WHEELS
    shutil.copytree(wheels, inside)
    pip = [f"{HOME}/bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"]
    pip += ["--no-index", f"--find-links=/{WHEELS}", f"{NAME}=={worker.release}"]
    try:
        jail.inside(root, "python3", "-m", "venv", HOME)
        jail.inside(root, *pip)
    except Failed as failed:
        last = failed.said.strip().rpartition("\n")[2][:300]
        said = "does its pkglist name python3 and python3-venv?"
        raise DefinitionError(f"Serval's worker cannot be installed in the image; {said} {last}") from None
    shutil.rmtree(inside)
