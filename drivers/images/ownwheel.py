"""Serval and what it rests on as wheels for an image: of this host's versions, for the image's Python.

The own wheel is made of the files that run here, whether they are a checkout or were installed by pip, so it
needs neither sources nor a network (its form is packaging.python.org's "binary distribution format"). All
others come by pip as it is configured on this host.
"""

import base64
import hashlib
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

from core.errors import DefinitionError, UnavailableError
from core.release import RELEASE
from drivers.images.jail import Failed, Jail
from drivers.images.worker import NAME, Worker

TOP = Path(__file__).resolve().parents[2]
PARTS = ("cli", "core", "db", "deploy", "drivers", "lab", "routing", "tasks")
LEFT_OUT = ("__pycache__", ".pyc", "~")
#: osvers → its python3. Those that are older than LEAST cannot run Serval.
PYTHONS = {
    "debian11": "3.9",
    "debian12": "3.11",
    "debian13": "3.13",
    "ubuntu20.04": "3.8",
    "ubuntu22.04": "3.10",
    "ubuntu24.04": "3.12",
}
LEAST = "3.11"
#: The C libraries of all these are newer.
PLATFORMS = ("manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
#: A time that a ZIP archive can hold; the same files make the same wheel.
EPOCH = (1980, 1, 1, 0, 0, 0)
#: What tells pip how this host reaches packages.
CONFIGURATION = re.compile(r"PIP_\w+|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.I)
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >={python}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: serval\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def worker_for(osvers: str, osarch: str) -> Worker:
    """The worker of an image of this release. Raises DefinitionError where its Python cannot run it."""
    python = PYTHONS.get(osvers)
    if python is None:
        known = ", ".join(name for name in PYTHONS if by_number(PYTHONS[name]) >= by_number(LEAST))
        raise DefinitionError(f"Serval's worker cannot be put into images of {osvers}; it can for {known}")
    if by_number(python) < by_number(LEAST):
        said = f"{osvers} has Python {python}, and Serval's worker needs {LEAST}: take a newer release"
        raise DefinitionError(f"{said} for profile service")
    digest = hashlib.sha256()
    for name, file in own_files():
        digest.update(f"{name}\0".encode() + file.read_bytes())
    return Worker(RELEASE, python, osarch, digest.hexdigest(), pins())


def gather(worker: Worker, jail: Jail, folder: Path) -> None:
    """Put every wheel into a folder. Raises UnavailableError when pip cannot have one, with pip's reason."""
    folder.mkdir()
    wheel = build(folder)
    constraints = folder.parent / "pins"
    constraints.write_text("".join(f"{pin}\n" for pin in worker.pins), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--retries=1", f"--dest={folder}", f"--constraint={constraints}"]
    command += ["--implementation=cp", f"--python-version={worker.python}"]
    command += [f"--abi={abi}" for abi in (f"cp{worker.python.replace('.', '')}", "abi3", "none")]
    command += [f"--platform={platform}_{worker.arch}" for platform in PLATFORMS]
    env = {name: value for name, value in os.environ.items() if CONFIGURATION.fullmatch(name)}
    try:
        jail.outside(*command, str(wheel), *missing(worker), env=env)
    except Failed as failed:
        lines = [line.strip() for line in failed.said.splitlines() if "ERROR" in line or "No module" in line]
        said = lines[-1] if lines else f"status {failed.status}"
        where = f"wheels for Serval's worker (Python {worker.python}, {worker.arch}) cannot be had by pip"
        raise UnavailableError(f"{where}: {said[:300]}") from None


def build(folder: Path) -> Path:
    """Serval's own wheel; its path."""
    base = f"{NAME.replace('-', '_')}-{RELEASE}"
    wheel, info, told = folder / f"{base}-py3-none-any.whl", f"{base}.dist-info", []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: bytes, mode: int = 0o644) -> None:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            told.append(f"{name},sha256={digest},{len(content)}\n")

        for name, file in own_files():
            put(name, file.read_bytes(), 0o755 if os.access(file, os.X_OK) else 0o644)
        for name, text in own_metadata().items():
            put(f"{info}/{name}", text.encode())
        told.append(f"{info}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", EPOCH), "".join(told))
    return wheel


def own_files() -> Iterator[tuple[str, Path]]:
    """Every file of Serval that runs here, with its name in the wheel; sorted."""
    for part in PARTS:
        for file in sorted((TOP / part).rglob("*")):
            name = str(file.relative_to(TOP))
            if file.is_file() and not any(word in name for word in LEFT_OUT):
                yield name, file


def own_metadata() -> Mapping[str, str]:
    """What pip asks of a wheel."""
    own = installed()
    metadata = METADATA.format(name=NAME, version=RELEASE, python=LEAST)
    needs = [line for line in own.requires or [] if "extra ==" not in line]
    commands = [f"{point.name} = {point.value}\n" for point in own.entry_points]
    return {
        "METADATA": metadata + "".join(f"Requires-Dist: {line}\n" for line in needs),
        "WHEEL": WHEEL,
        "entry_points.txt": "[console_scripts]\n" + "".join(commands),
    }


def installed() -> Distribution:
    """What pip wrote down of this Serval. Raises UnavailableError when it was not installed by pip."""
    try:
        return distribution(NAME)
    except PackageNotFoundError:
        said = "this Serval was not installed by pip, so what it rests on is not known"
        raise UnavailableError(said) from None


def pins() -> tuple[str, ...]:
    """`name==version` of every package beside Serval here."""
    found = {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]}
    return tuple(f"{name}=={found[name]}" for name in sorted(found) if name != NAME)


def missing(worker: Worker) -> list[str]:
    """Requirements of another Python than the one here: pip looks at markers as if for its own."""
    target = {
        "python_version": worker.python,
        "python_full_version": f"{worker.python}.0",
        "platform_machine": worker.arch,
    }
    here = {plain(pin.partition("==")[0]) for pin in worker.pins}
    found: set[str] = set()
    queue, seen = [Requirement(NAME)], {NAME}
    while queue:
        asking = queue.pop()
        for need in map(Requirement, distribution(asking.name).requires or []):
            extras = ("", *asking.extras)
            if need.marker and not any(need.marker.evaluate(target | {"extra": one}) for one in extras):
                continue
            if plain(need.name) not in here:
                found.add(f"{need.name}{need.specifier}")
            elif (key := f"{plain(need.name)}{sorted(need.extras)}") not in seen:
                seen.add(key)
                queue.append(need)
    return sorted(found)


def plain(name: str) -> str:
    """The one of all spellings of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def by_number(version: str) -> tuple[int, ...]:
    """A key that sorts 3.9 before 3.11."""
    return tuple(int(part) for part in version.split("."))
