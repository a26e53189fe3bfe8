"""When a tree can be used again for lists that have changed: the result must have a fresh build's packages.

Added packages are installed into a copy, those that are gone are left to what else needs them, and everything
is brought to the versions that a fresh build would find. Where that might come out differently, `gone` says
None, and the image is built anew.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from core.images.pkglist import Transaction
from drivers.images.recipe import Recipe
from drivers.images.shelf import Record

#: Without version, architecture or pattern.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
#: Which kernel is named decides what the base system is made of.
KERNELS = ("linux-image", "kernel")

Block = Mapping[str, Any]


def listed(recipe: Recipe) -> list[dict[str, Any]]:
    """What the lists ask for, as the record keeps it: blocks with folder and name of each package."""
    return [
        {
            "other": other,
            "environment": dict(block.environment),
            **{
                part: [[entry.folder, entry.name] for entry in getattr(block, part)]
                for part in ("before", "install", "after")
            },
        }
        for blocks, other in ((recipe.packages, False), (recipe.others, True))
        for block in blocks
    ]


def rest(recipe: Recipe, edition: str) -> str:
    """A hash of all but the lists and Serval's own files, which are written anew anyway."""
    files = dict.fromkeys(recipe.files, "")
    return replace(recipe, packages=(), others=(), worker=None, files=files).digest(edition)


def gone(before: Record, recipe: Recipe, edition: str) -> list[str] | None:
    """The packages that the lists no longer ask for, sorted; None: only a fresh build is certain."""
    now = listed(recipe)
    if not before.base or before.rest != rest(recipe, edition) or _removals(before.lists) != _removals(now):
        return None
    old, new = _wanted(before.lists), _wanted(now)
    known = before.packages.keys() | _removed(now)
    for name in old.keys() & new.keys():
        if old[name] != new[name] or not (name in known or name.startswith("@")):
            return None
    changed = old.keys() ^ new.keys()
    if not all(PLAIN.fullmatch(name) and not name.startswith(KERNELS) for name in changed):
        return None
    left = old.keys() - new.keys()
    return sorted(left & before.packages.keys() - set(before.base)) if left <= known else None


def once_removed(recipe: Recipe, before: Record) -> Recipe:
    """The recipe without those removals that come before an installation and were carried out already.

    What is there nevertheless came later, because something needs it.
    """

    def rid(blocks: Iterable[Transaction]) -> tuple[Transaction, ...]:
        return tuple(
            replace(block, before=tuple(one for one in block.before if one.name not in before.packages))
            for block in blocks
        )

    return replace(recipe, packages=rid(recipe.packages), others=rid(recipe.others))


def _removals(blocks: Iterable[Block]) -> list[list[Any]]:
    found = ([block["environment"], block["before"], block["after"]] for block in blocks)
    return [parts for parts in found if any(parts)]


def _removed(blocks: Iterable[Block]) -> set[str]:
    return {name for block in blocks for _, name in (*block["before"], *block["after"])}


def _wanted(blocks: Iterable[Block]) -> dict[str, set[tuple[bool, str]]]:
    """Package → where it comes from."""
    found: dict[str, set[tuple[bool, str]]] = {}
    for block in blocks:
        for folder, name in block["install"]:
            found.setdefault(name, set()).add((block["other"], folder))
    return found
