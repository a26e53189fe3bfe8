"""What goes to another machine that builds an image: a ZIP archive that Python can import from.

It holds the modules that build (they need Python's standard library alone), the recipe with all its lists
read, the scripts of `postinstall`, the keys of repositories, and the wheels of a service node's worker.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.images.pkglist import Entry, Transaction
from core.images.sources import Kind
from drivers.images.recipe import Recipe
from drivers.images.worker import Worker

TOP = Path(__file__).resolve().parents[2]
CODE = ("core", "drivers")
RECIPE, SCRIPTS, KEYS, WHEELS = "recipe.json", "scripts", "keys", "wheels"


def wrap(recipe: Recipe, wheels: Path | None, parcel: Path) -> None:
    """Write the archive."""
    scripts = tuple(
        (f"{SCRIPTS}/{number}-{Path(script).name}", *words)
        for number, (script, *words) in enumerate(recipe.scripts)
    )
    keys = tuple(Path(KEYS, f"{number}-{key.name}") for number, key in enumerate(recipe.keys))
    with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in CODE:
            for file in sorted((TOP / part).rglob("*.py")):
                archive.write(file, file.relative_to(TOP))
        for (name, *_), (script, *_) in zip(scripts, recipe.scripts, strict=True):
            archive.write(script, name)
        for key, path in zip(keys, recipe.keys, strict=True):
            archive.write(path, key)
        for wheel in sorted(wheels.iterdir()) if wheels else ():
            archive.write(wheel, f"{WHEELS}/{wheel.name}", zipfile.ZIP_STORED)
        inside = replace(recipe, scripts=scripts, keys=keys)
        archive.writestr(RECIPE, json.dumps(asdict(inside), default=str))


def unwrap(parcel: Path, folder: Path) -> Recipe:
    """The recipe; its scripts, the keys and the wheels lie in `folder` then."""
    with zipfile.ZipFile(parcel) as archive:
        for name in archive.namelist():
            if name.startswith((f"{SCRIPTS}/", f"{KEYS}/", f"{WHEELS}/")):
                archive.extract(name, folder)
        recipe = read(json.loads(archive.read(RECIPE)))
    scripts = tuple((str(folder / script), *words) for script, *words in recipe.scripts)
    for script, *_ in scripts:
        Path(script).chmod(0o700)
    return replace(recipe, scripts=scripts, keys=tuple(folder / key for key in recipe.keys))


def read(told: Mapping[str, Any]) -> Recipe:
    """The recipe that JSON tells."""
    worker = told["worker"]
    return Recipe(
        **{
            **told,
            "kind": Kind(**told["kind"]),
            "packages": _transactions(told["packages"]),
            "others": _transactions(told["others"]),
            "sources": tuple(told["sources"]),
            "otherpkgdir": Path(told["otherpkgdir"]),
            "scripts": tuple(map(tuple, told["scripts"])),
            "keys": tuple(map(Path, told["keys"])),
            "drivers": tuple(told["drivers"]),
            "worker": Worker(**{**worker, "pins": tuple(worker["pins"])}) if worker else None,
        }
    )


def _transactions(told: Sequence[Mapping[str, Any]]) -> tuple[Transaction, ...]:
    return tuple(
        Transaction(
            block["environment"],
            *(tuple(Entry(**entry) for entry in block[part]) for part in ("before", "install", "after")),
        )
        for block in told
    )
