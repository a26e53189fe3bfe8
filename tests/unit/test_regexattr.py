"""Regex values: xCAT's documented and observed answers, C arithmetic, and values that must be refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.regexattr import apply, is_regex

HUNDREDS = r"|\D+(\d+)|10.1.(($1-1)/100).(($1-1)%100+1)|"
GRID = r"|row(\d+)-col(\d+)|(skip(dim2idx($1, 4, $2),'3:2'))|"


@pytest.mark.parametrize(
    ("value", "node", "expected"),
    [
        ("plain", "n1", "plain"),
        ("", "n1", ""),
        ("10.0.0.(1+1)", "n1", "10.0.0.(1+1)"),
        ("/install", "n1", "/install"),
        ("/a/b/c/", "n1", "/a/b/c/"),
        ("|half", "n1", "|half"),
        (r"/\z/-bmc/", "rx7", "rx7-bmc"),
        (r"/^(\D+)(\d+)$/$2-${1}/", "rx7", "7-rx"),
        (HUNDREDS, "rx7", "10.1.0.7"),
        (HUNDREDS, "rx205", "10.1.2.5"),
        ("|10.9.($1+5).7|", "rx7", "10.9.12.7"),
        ("|r($1)c($2)n($3)|", "r01c20n030", "r1c20n30"),
        ("|r($1)c($2)n($3)|", "r01c00n10", "r1c10n"),
        ("|10.9.($1+5).7|", "nonumber", "10.9.5.7"),
        (r"|node(\d+)|bmc($1)|", "node01", "bmc01"),
        (r"|node(\d+)|bmc${1}|", "node01", "bmc01"),
        (r"|node(\d+)|10.0.0.(${1}+0)|", "node01", "10.0.0.1"),
        (r"|node(\d+)|bmc($1)|", "gpu-001", "gpu-001"),
        (r"|(\d+)|($1+1)|", "r7x", "r8x"),
        ("|^.*$||", "n1", ""),
        ("||", "n1", ""),
        ("|()|", "n1", ""),
        (
            r"|(.)(..)n(..)|ib!(ipadd(10,41,0,100,dim2idx(a2idx($1),36,$2,18,$3),2,1))|",
            "a01n01",
            "ib!10.41.0.101",
        ),
        (GRID, "row1-col1", "1"),
        (GRID, "row1-col3", "-1"),
        (GRID, "row2-col1", "3"),
        (r"|(a)?n(\d+)|x$1($1+$2)$9|", "n5", "x5"),
        ("|(sprintf('%03d',$1))|", "n7", "007"),
        (r"|^(\w+)$|(mknum($1))|", "ab", "195"),
    ],
)
def test_value_for_a_node(value: str, node: str, expected: str) -> None:
    assert apply(value, node) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7/2", 3),
        ("-7/2", -3),
        ("7/-2", -3),
        ("-7%3", -1),
        ("7%-3", 1),
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("10-2-3", 5),
        ("2--3", 5),
        ("010+1", 9),
        ("$1+1", 8),
        ("'12ab'+1", 13),
        ("'ab'+1", 1),
        ("5>3", 1),
        ("3>=5", 0),
        ("$1==7?10:20", 10),
        ("$1<7?10:$1<8?15:20", 15),
        ("a2idx('C')", 3),
        ("a2zidx('a')", 0),
        ('a2idx("$2")', 24),
        ("dim2idx(2,10,3,8,4,8,5)", 797),
        ("skip(10,'3')", 9),
        ("skip(10,'3:2')", 8),
        ("skip(10,'3:2,6')", 7),
        ("skip(6,'3:2,6')", -1),
        ("skip(2,'3:2')", 2),
        ("ipadd(10,10,10,10,0,0,0)", "10.10.10.10"),
        ("ipadd(10,10,10,10,245,0,0)", "10.10.10.255"),
        ("ipadd(10,10,10,10,246,0,0)", "10.10.11.0"),
        ("ipadd(10,0,0,0,254,1,1)", "10.0.1.1"),
    ],
)
def test_arithmetic(text: str, expected: int | str) -> None:
    assert apply(rf"|^n(\d+)(\w)$|({text})|", "n007x") == str(expected)


@pytest.mark.parametrize(
    "value",
    [
        "|(1/0)|",
        "|(1%0)|",
        "|($1|",
        "|((1)|",
        "|(1+)|",
        "|(1 2)|",
        "|(1,2)|",
        "|(system('id'))|",
        "|(__import__('os'))|",
        "|(`id`)|",
        "|(dim2idx(1,2))|",
        "|(ipadd(10))|",
        "|(skip(1))|",
        "|(sprintf('%s',1))|",
        "|(sprintf('%999999999d',1))|",
        "|(a2idx)|",
        "|(089)|",
        "|(" + "9" * 500 + ")|",
        "|(" + "(" * 400 + "1" + ")" * 400 + ")|",
        "|" + "x" * 2000 + "|",
        "|(a+)+|x|",
        "|[|x|",
        "/(/x/",
    ],
)
def test_refused_by_name(value: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        apply(value, "n1")
    assert value[:10] in refusal.value.message


def test_is_regex() -> None:
    assert all(map(is_regex, ("/a/b/", "|a|", "|a|b|", "||", "///")))
    assert not any(map(is_regex, ("", "a", "|", "/", "/a", "/a/", "/a/b/c/", "|a", "a|b|")))


@given(
    st.text(alphabet="|/$1(){}+-*/%,'\"? :<>=!ab09\\[].*", max_size=40), st.text(alphabet="n0-1.", max_size=8)
)
@settings(deadline=None)
def test_any_value_applies_or_is_refused(text: str, node: str) -> None:
    for value in (text, f"|{text}|", f"|({text})|", rf"|(\d+)|{text}|", f"/{text}/"):
        try:
            assert isinstance(apply(value, node), str)
        except DefinitionError:
            continue


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6).filter(bool))
def test_division_and_remainder_belong_together(a: int, b: int) -> None:
    assert apply(f"|(({a})/({b})*({b})+({a})%({b}))|", "n1") == str(a)
