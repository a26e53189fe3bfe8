"""Criteria and the patterns in them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DefinitionError, RequestError
from core.patterns import compile_pattern
from core.selection import Criterion, matches, parse, parse_all


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("os==alma9", Criterion("os", "==", "alma9")),
        ("os=alma9", Criterion("os", "==", "alma9")),
        ("os!=a=b", Criterion("os", "!=", "a=b")),
        ("nodetype.os=~/^al.a/", Criterion("nodetype.os", "=~", "^al.a")),
        ("os!~x=~y", Criterion("os", "!~", "x=~y")),
        ("os==", Criterion("os", "==", "")),
    ],
)
def test_parse(text: str, expected: Criterion) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "os", "==x", "os!x", "os~x", "os=~(a+)+", "os=~[", "os=~" + "a" * 300])
def test_what_is_no_criterion(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("os==alma9", "alma9", True),
        ("os==alma9", "alma9.4", False),
        ("os==alma9", None, False),
        ("os==", None, True),
        ("os!=alma9", None, True),
        ("os!=alma9", "alma9", False),
        ("os=~ma", "alma9", True),
        ("os=~ma", None, False),
        ("os!~ma", None, True),
        ("os!~ma", "alma9", False),
        (r"os=~9\z", "alma9", True),
        (r"os=~^[[:alpha:]]+\d$", "alma9", True),
    ],
)
def test_matches(text: str, value: str | None, expected: bool) -> None:
    assert matches(parse(text), value) is expected


def test_wherevals() -> None:
    assert parse_all("os==alma9::arch=~x86") == [
        Criterion("os", "==", "alma9"),
        Criterion("arch", "=~", "x86"),
    ]
    assert parse_all("") == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"node.*5",
        r"\D+(\d+)\D+(\d+)\D+(\d+)",
        r"(.*)-(.*)-(.*)-(.*)",
        r"rocky|ubuntu",
        r"d(1.?.?|200)",
        r"(-ib\d+)?x",
    ],
)
def test_patterns_people_write_are_accepted(pattern: str) -> None:
    assert compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|a)*",
        "(?:a?){40}",
        "a?" * 28 + "a" * 28,
        ".*" * 5 + "!",
        "(a|a)" * 20 + "b",
        "(ab)?" * 30 + "c",
        "b*(?!a)" * 6 + "c",
        r"(a)\1",
        "(?P<x>a)",
        "a{1000}",
        "(?:(a){200}){200}",
    ],
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    with pytest.raises(RequestError):
        compile_pattern(pattern)


@given(st.text(alphabet=r"ab1.*+?|()[]{}^$\dDwz,-:=!", max_size=24))
@settings(deadline=None)
def test_any_accepted_pattern_is_usable(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except RequestError:
        return
    assert isinstance(pattern, re.Pattern)
    for name in ("a" * 24 + "!", "1" * 24, "ab" * 12, ""):
        pattern.search(name)
