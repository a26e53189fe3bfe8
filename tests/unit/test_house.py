"""The rules of the house that linters do not check: sizes, docstrings, imports, console scripts."""

import ast
import importlib
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cli.entry import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ("core", "db", "drivers", "routing", "tasks", "cli", "lab")
PRODUCT = sorted(
    file.relative_to(ROOT)
    for package in HOUSE
    for file in (ROOT / package).rglob("*.py")
    if "versions" not in file.parts
)
TESTS = sorted(file.relative_to(ROOT) for file in (ROOT / "tests").rglob("*.py"))
#: Who alone may import what.
KEEPERS = {
    "celery": ("tasks",),
    "kombu": ("tasks",),
    "billiard": ("tasks",),
    "sqlalchemy": ("db",),
    "alembic": ("db",),
    "psycopg2": ("db",),
    "pyghmi": ("drivers",),
    "paramiko": ("drivers",),
    "nacl": ("drivers",),
    "redis": ("drivers",),
    "h11": ("drivers",),
}
FILE_LINES = 400
FUNCTION_LINES = 60

every_module = pytest.mark.parametrize("file", PRODUCT, ids=str)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), str(file))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@every_module
def test_files_are_short(file: Path) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@every_module
def test_functions_are_short(file: Path) -> None:
    long = {
        function.name: lines
        for function in functions(file)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    }
    assert not long


def test_nine_functions_of_ten_have_at_most_thirty_lines() -> None:
    lengths = sorted(
        (function.end_lineno or 0) - function.lineno + 1 for file in PRODUCT for function in functions(file)
    )
    assert lengths[len(lengths) * 9 // 10] <= 30


@every_module
def test_modules_say_what_they_own(file: Path) -> None:
    assert ast.get_docstring(tree(file))


@every_module
def test_libraries_stay_with_their_keepers(file: Path) -> None:
    strays = {name for name in imported(file) & set(KEEPERS) if file.parts[0] not in KEEPERS[name]}
    assert not strays


@every_module
def test_core_imports_the_standard_library_only(file: Path) -> None:
    if file.parts[0] != "core":
        return
    allowed = {*sys.stdlib_module_names, "core", "ClusterShell"}
    assert imported(file) <= allowed


@every_module
def test_imports_inside_functions_give_their_reason(file: Path) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    hidden = {
        node.lineno
        for function in functions(file)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    first_of_block = {number for number in hidden if number - 1 not in hidden}
    assert not {number for number in first_of_block if "#" not in "".join(lines[number - 2 : number])}


@pytest.mark.parametrize("file", [*PRODUCT, *TESTS], ids=str)
def test_nothing_is_left_for_later(file: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    marks = [mark for mark in ("TO" + "DO", "FIX" + "ME", "XX" + "X:") if mark in text]
    assert not marks


@pytest.mark.parametrize("file", TESTS, ids=str)
def test_no_test_is_skipped(file: Path) -> None:
    skips = {
        node.attr
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip"}
    }
    assert not skips


def scripts() -> dict[str, str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, str] = tomllib.load(file)["project"]["scripts"]
    return found


@pytest.mark.parametrize(("command", "target"), scripts().items(), ids=scripts())
def test_every_command_is_there(command: str, target: str) -> None:
    module, _, name = target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("command", scripts())
def test_every_command_knows_its_function(command: str) -> None:
    module, function = COMMANDS[command]
    assert callable(getattr(importlib.import_module(module), function))


def test_versions_are_pinned_and_hosts_are_not_named() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert pins
    assert all(line.count("==") == 1 for line in pins)
    assert not any(mark in text for mark in ("://", "--index", "@"))
