"""Folding says what ClusterShell says, whichever way it is done."""

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given
from hypothesis import strategies as st

from core.fold import fold, unfold

STEMS = st.sampled_from(["n", "N", "rack-", "a.b_", "", "a1n"])
TAILS = st.sampled_from(["", "-ipmi", ".cluster", "x"])
WIDTHS = st.sampled_from([1, 2, 3, 5])
NUMBERS = st.lists(st.integers(0, 130), min_size=1, max_size=30)


@given(STEMS, TAILS, WIDTHS, NUMBERS)
def test_names_of_one_form(stem: str, tail: str, width: int, numbers: list[int]) -> None:
    names = [f"{stem}{number:0{width}}{tail}" for number in numbers]
    folded = fold(names)
    assert folded == str(NodeSet.fromlist(names, autostep=None))
    assert sorted(unfold(folded)) == sorted(set(names))


@given(st.lists(st.tuples(STEMS, TAILS, WIDTHS, st.integers(0, 130)), min_size=1, max_size=12))
def test_names_of_several_forms(parts: list[tuple[str, str, int, int]]) -> None:
    names = [f"{stem}{number:0{width}}{tail}" for stem, tail, width, number in parts]
    assert fold(names) == str(NodeSet.fromlist(names, autostep=None))


@pytest.mark.parametrize(
    ("names", "folded"),
    [([], ""), (["n1"], "n1"), (["n1", "n1"], "n1"), (["n9", "n10"], "n[9-10]"), (["login"], "login")],
)
def test_small_ones(names: list[str], folded: str) -> None:
    assert fold(names) == folded


def test_what_cannot_be_folded_is_listed() -> None:
    assert fold(["n[3", "n1"]) == "n1,n[3"
    assert fold(["n1", "n²"]) == str(NodeSet.fromlist(["n1", "n²"]))
