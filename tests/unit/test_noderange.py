"""Noderanges: real xCAT's answers, where ours differ on purpose, hostile input, laws of the set algebra."""

import json
from pathlib import Path
from typing import Any

import pytest
from dictsource import DictSource
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import NoderangeError
from core.fold import fold
from core.noderange import Expansion, expand, missed_message, names

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "noderange_cases.json").read_text(encoding="utf-8")
)
CLUSTER = DictSource(REFERENCE["db_tables"])
CASES = {case["input"]: Expansion(case["nodes"], case["missed"]) for case in REFERENCE["cases"]}
RACK1 = [f"node{n:02}" for n in range(1, 21)]
NRLIST1 = ["gpu-001", "gpu-002", "gpu-003", "node01", "node03", "node10", "node12", "node21"]
# docs/xcat-differences.md says why, line by line.
OURS = {
    "node05-node01": Expansion(["node01", "node02", "node03", "node04", "node05"], []),
    "^nrlist1": Expansion(NRLIST1, []),
    "node01,^nrlist1": Expansion(NRLIST1, []),
    "node01, node02": Expansion(["node01", "node02"], []),
    "node[01 - 03]": Expansion(["node01", "node02", "node03"], []),
    "node[01-02]+1": Expansion(["node01", "node02", "node03"], []),
    "compute1@-node01": Expansion(RACK1[1:], []),
    "nosuchtable.col==1": Expansion([], ["nosuchtable.col==1"]),
}


def read_file(name: str) -> str:
    """The files of the reference, and none of the machine's."""
    if name not in REFERENCE["files"]:
        raise FileNotFoundError(2, "No such file or directory", name)
    return str(REFERENCE["files"][name])


def nodes(text: str) -> list[str]:
    """The nodes of a noderange in which nothing is missed."""
    result = expand(text, CLUSTER, read_file)
    assert result.missed == []
    return result.nodes


@pytest.mark.parametrize("text", CASES)
def test_answers_as_xcat_or_as_listed(text: str) -> None:
    assert expand(text, CLUSTER, read_file) == OURS.get(text, CASES[text])


def test_every_listed_difference_is_one() -> None:
    assert all(CASES[text] != ours for text, ours in OURS.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("-compute", []),
        ("all,-(compute,frame,service,spare)", ["mn1"]),
        ("compute1@(node01,node02,gpu,-node02)", ["node01"]),
        ("(compute1@(node01,node02)),sn1", ["node01", "node02", "sn1"]),
        ("rack1,rack2@gpu", RACK1),
        ("rack1,@node01-node03", ["node01", "node02", "node03"]),
        ("rack1,-node02-node20", ["node01"]),
        ("rack1@rack2", []),
        ("emptygrp", []),
        ("node08-node10", ["node08", "node09", "node10"]),
        ("node[08-10,01]", ["node01", "node08", "node09", "node10"]),
        ("node100+1,-node100", ["node101"]),
        ("/node0(1|2)", ["node01", "node02"]),
        ("/node01|node02", ["node01", "node02"]),
        ("/node\\d{2,2}@node01", ["node01"]),
        ("/node(?=01)..", ["node01"]),
        ("/node0[(1]", ["node01"]),
        ("nodetype.os=~/(alma|rocky)/,-rack1", []),
        ("nodelist.status==booted", ["node07"]),
        ("nodelist.status==@spare", ["node100", "node101"]),
        ("compute1,-^nrlist1", [n for n in RACK1 if n not in NRLIST1]),
        ("compute[1-2]@node01", ["node01"]),
        ("node1[0-1]", ["node10", "node11"]),
        ("f[1-2]n1+1", ["f1n1", "f1n2", "f2n1", "f2n2"]),
    ],
)
def test_grammar(text: str, expected: list[str]) -> None:
    assert nodes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "bogus",
        "node[01",
        "node01]",
        "[1-3]",
        "node[]",
        "node[01--03]",
        "node[a-c]",
        "n1-ib+2",
        "node01+",
        "node01+x",
        "f1n1-f2n3",
        "os==alma9",
        "a:b:c",
        "node(01)",
        "$(touch x)",
        "`id`",
        "node01;id",
        "../../etc/passwd",
        "|id",
    ],
)
def test_elements_that_name_nothing_are_missed_whole(text: str) -> None:
    assert expand(text, CLUSTER) == Expansion([], [text])


def test_a_missed_exclusion_is_missed_too() -> None:
    assert expand("rack1,-bogus,b2,bogus", CLUSTER).missed == ["bogus", "b2"]


def test_a_name_wins_over_everything() -> None:
    odd = DictSource(
        {"nodelist": [{"node": name, "groups": "g-1,all"} for name in ("a-b", "c+1", "7", "all")]}
    )
    assert expand("a-b,c+1,7", odd) == Expansion(["7", "a-b", "c+1"], [])
    assert expand("all", odd) == Expansion(["all"], [])
    assert expand("g-1", odd).nodes == ["7", "a-b", "all", "c+1"]


def test_excludenodes_is_taken_from_every_noderange_and_never_missed() -> None:
    guarded = DictSource(REFERENCE["db_tables"], excluded="node01,longgone")
    assert expand("node01-node03", guarded) == Expansion(["node02", "node03"], [])
    assert expand("node01,bogus", guarded) == Expansion([], ["bogus"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a[1-99999999999]", "1,000,000"),
        ("a[1-9999999999999999999999999]", "1,000,000"),
        ("a1-a" + "9" * 30, "1,000,000"),
        ("node1+1000000", "1,000,000"),
        ("node1+" + "9" * 5000, "1,000,000"),
        ("a" + "[1-10]" * 7, "1,000,000"),
        ("a[1-600000],b[1-600000]", "b[1-600000]"),
        ("n[" + ",".join(["1-900000"] * 3) + "]", "1,000,000"),
        ("n[1-2000]-n2000", "-n2000"),
        ("(" * 40 + "node01" + ")" * 40, "32"),
        ("(" * 100_000, "Unbalanced"),
        ("(node01", "Unbalanced"),
        ("(node01)(node02)", "Unbalanced"),
        ("compute1@", "nothing"),
        ("all,-", "nothing"),
        ("()@(", "Unbalanced"),
        ("/(a+)+", "(a+)+"),
        ("/" + "a?" * 30 + "a" * 30, "too much"),
        ("/[", "cannot be read"),
        ("/" + "a" * 300, "256"),
        ("nodetype.os=~(", "Unbalanced"),
        ("nodetype.os=~*", "cannot be read"),
        ("==x", "criterion"),
        ("=" * 100_000, "criterion"),
        ("a.b=~*" + "x" * 200, "cannot be read"),
        ("^nosuchfile", "No such file"),
        ("^" + "x" * 100_000, "No such file"),
        ("^nested", "in a noderange file"),
    ],
)
def test_refused(text: str, named: str) -> None:
    def files(name: str) -> str:
        return "node01,^nrlist1" if name == "nested" else read_file(name)

    with pytest.raises(NoderangeError) as refusal:
        expand(text, CLUSTER, files)
    assert named in refusal.value.message
    assert len(refusal.value.message) < 500


def test_files_are_only_read_through_the_callers_reader() -> None:
    with pytest.raises(NoderangeError, match="a file cannot be named here"):
        expand("^/etc/passwd", CLUSTER)
    asked: list[str] = []

    def reader(name: str) -> str:
        asked.append(name)
        return "\n# no\n^no\n  node01 blank\nnode02:colon\nnode03\ttab\n-node02\n"

    assert expand('^"id|"', CLUSTER, reader).nodes == ["node01", "node03"]
    assert asked == ["id|"]


def test_messages_carry_nothing_a_terminal_obeys() -> None:
    assert missed_message(["bogus", "b2"]) == "Invalid nodes and/or groups in noderange: bogus,b2"
    assert "\x1b" not in missed_message(["\x1b[2Jx"])
    assert missed_message(f"n{i}" for i in range(50)).endswith(",n19 and 30 more")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node[01-03]", ["node01", "node02", "node03"]),
        ("sn3,sn1", ["sn1", "sn3"]),
        ("r[1-2]c[1-2],-r2c2", ["r1c1", "r1c2", "r2c1"]),
        ("gpu-001", ["gpu-001"]),
        ("gpu-001-gpu-002", ["gpu-001", "gpu-002"]),
        ("1-2", ["node1", "node2"]),
        ("(a,b)@b", ["b"]),
        ("compute1", ["compute1"]),
        ("n1-n[2-3]", ["n1", "n2", "n3"]),
        ("7", ["node7"]),
        ("node1-ib", ["node1-ib"]),
    ],
)
def test_new_names_need_no_cluster(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize("text", ["/node.*", "mgt==ipmi", "^file", "a[1-99999999]", "(a"])
def test_new_names_cannot_be_selected(text: str) -> None:
    with pytest.raises(NoderangeError):
        names(text)


ATOMS = st.sampled_from(
    [
        "node01",
        "compute1",
        "gpu",
        "all",
        "node01-node05",
        "node[08-12]",
        "/node.*5",
        "mgt==ipmi",
        "bogus",
        "5",
    ]
)
RANGES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([",", ",-", "@", "@-", ",@"]), inner).map("".join),
        inner.map("({})".format),
    ),
    max_leaves=8,
)
SYMBOLS = st.text(alphabet="node019cmpute-:+[](),@^/=~!.*?|\\{}$' \"\n\x00é", max_size=40)
SUBSETS = st.sets(st.sampled_from(sorted(CLUSTER.nodes())))


@given(st.one_of(RANGES, SYMBOLS, st.tuples(RANGES, SYMBOLS).map("".join)))
@settings(deadline=None)
def test_any_text_expands_or_is_refused(text: str) -> None:
    for answer in (lambda: expand(text, CLUSTER, read_file).nodes, lambda: names(text)):
        try:
            found = answer()
        except NoderangeError:
            continue
        assert found == sorted(set(found))


@given(RANGES, RANGES)
@settings(deadline=None)
def test_set_algebra(a: str, b: str) -> None:
    assert expand(f"({a}),-({a})", CLUSTER).nodes == []
    assert expand(f"({a})@({b})", CLUSTER).nodes == expand(f"({b})@({a})", CLUSTER).nodes
    both = expand(f"({a}),({b})", CLUSTER).nodes
    assert both == sorted({*expand(a, CLUSTER).nodes, *expand(b, CLUSTER).nodes})


@given(SUBSETS)
@settings(deadline=None)
def test_folded_names_expand_to_themselves(chosen: set[str]) -> None:
    assert expand(fold(chosen), CLUSTER) == Expansion(sorted(chosen), [])
    assert names(fold(chosen)) == sorted(chosen)


def test_long_text_takes_no_long_time() -> None:
    for text in (
        "1" * 100_000 + "+1",
        "a" * 100_000 + "-b",
        "n1" * 50_000 + "[1-2]",
        ("1" * 60_000 + "x") + "+1",
    ):
        assert expand(text, CLUSTER).nodes == []
