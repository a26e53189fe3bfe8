"""genimage on changed lists: the tree in service is used again, and ends with a fresh build's packages."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_images_dnf import recipe, repositories  # noqa: F401  a fixture

from drivers.images import reuse
from drivers.images.build import EDITION, build
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe
from drivers.images.shelf import Record, Shelf

COPIED = "copy of the tree in service"
#: Package → what it requires.
REQUIRES = {"one": "lib", "two": "lib", "lib": "", "three": ""}


def add_packages(top: Path, version: int) -> None:
    """Add such packages to a repository."""
    for name, required in REQUIRES.items():
        spec = top / f"{name}.spec"
        lines = [f"Name: {name}", f"Version: {version}", "Release: 1", "Summary: x", "License: x"]
        lines += [f"Requires: {required}"] if required else []
        spec.write_text("\n".join([*lines, "BuildArch: noarch", "%description", "x", "%files", ""]))
        command = ["rpmbuild", "-bb", "--define", f"_topdir {top}", "--define", f"_rpmdir {top}", str(spec)]
        subprocess.run(command, check=True, capture_output=True)
    for package in top.glob("noarch/*.rpm"):
        package.rename(top / "os/BaseOS" / package.name)
    subprocess.run(["createrepo_c", "--quiet", str(top / "os/BaseOS")], check=True, capture_output=True)


class Builder:
    """Builds in `folder` from repositories of its own."""

    def __init__(self, top: Path, folder: Path) -> None:
        self.top, self.folder, self.steps = top, folder, list[str]()
        self.shelf = Shelf(folder)

    def build(self, text: str, other: str = "", **more: bool) -> Record:
        """The record of a build of these lists."""
        self.steps.clear()
        with (self.folder.parent / "log").open("ab") as log:
            made = recipe(self.top, text, other)
            return build(made, self.folder, Jail(log), lambda _, said: self.steps.append(said), **more).record

    def both(self, text: str, other: str = "") -> set[str]:
        """The packages after a build that uses the tree again, which a fresh build has too."""
        again = self.build(text, other)
        assert COPIED in self.steps
        fresh = Builder(self.top, self.folder.with_name("fresh")).build(text, other, fresh=True)
        assert again.packages == fresh.packages
        return {name for name in again.packages if name in REQUIRES}


@pytest.fixture
def builder(repositories: Path, tmp_path: Path) -> Iterator[Builder]:  # noqa: F811
    top = tmp_path / "repositories"
    shutil.copytree(repositories, top)
    add_packages(top, 1)
    return Builder(top, tmp_path / "image")


def test_packages_are_added_and_removed_in_a_copy(builder: Builder) -> None:
    first = builder.build("tool,one,lib")
    assert COPIED not in builder.steps
    assert builder.both("tool,two,three", "site/extra") == {"two", "three", "lib"}, "lib is still needed"
    add_packages(builder.top, 2)
    builder.build("tool,two,three", "site/extra")
    assert builder.steps == [], "the lists are the same"
    assert builder.both("tool,three") == {"three"}
    assert builder.shelf.record().packages["three"] == "2-1"
    add_packages(builder.top, 3)
    kept = builder.build("tool,three,one", update=False).packages
    assert (kept["three"], kept["one"]) == ("2-1", "3-1"), "only what is added is new"
    assert builder.build("tool,three", update=True).packages["three"] == "3-1"
    assert builder.shelf.record().base == first.base


def test_what_the_copy_cannot_prove_is_built_anew(builder: Builder) -> None:
    builder.build("tool,one")
    for text in ("tool,one\n-two", "tool,three-1", "kernel", "#ENV:KEY=v#\ntool"):
        assert builder.build(text).packages
        assert COPIED not in builder.steps, text
    builder.build("tool,one")
    builder.shelf.note(Record())
    builder.build("tool")
    assert COPIED not in builder.steps, "nobody knows what this tree was made of"


NAMES = ("one", "two", "lib", "three")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=st.lists(st.sampled_from(NAMES), unique=True), new=st.lists(st.sampled_from(NAMES), unique=True))
def test_only_what_no_list_names_and_no_base_has_is_gone(
    old: list[str], new: list[str], tmp_path: Path
) -> None:
    before, after = (recipe(tmp_path, ",".join(names)) for names in (old, new))
    known = dict.fromkeys([*NAMES, "base"], "1")
    record = Record(
        packages=known, rest=reuse.rest(before, EDITION), lists=reuse.listed(before), base=("base", "three")
    )
    assert reuse.gone(record, after, EDITION) == sorted(set(old) - set(new) - {"three"})
    assert reuse.gone(record, other_drivers(after), EDITION) is None


def test_what_a_list_installs_and_removes_again_is_no_hindrance(tmp_path: Path) -> None:
    before, after = (
        recipe(tmp_path, f"{text}\n#NEW_INSTALL_LIST#\n--two") for text in ("one,two", "two,three")
    )
    known = {"one": "1", "base": "1"}
    record = Record(
        packages=known, rest=reuse.rest(before, EDITION), lists=reuse.listed(before), base=("base",)
    )
    assert reuse.gone(record, after, EDITION) == ["one"]


def other_drivers(made: Recipe) -> Recipe:
    """The same with another RAM disk."""
    return Recipe(made.name, made.kind, made.packages, made.others, made.sources, drivers=("tg3",))
