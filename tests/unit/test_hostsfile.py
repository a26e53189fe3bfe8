"""The text of /etc/hosts: Serval's lines come and go, everybody else's stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import hostsfile
from core.hostsfile import Line, node_lines

OTHERS = "127.0.0.1 localhost\n# a remark\n1.2.3.4 printer # node n1\n"
N1 = Line("n1", "10.0.0.1", ("n1", "n1.c.net"))
N2 = Line("n2", "10.0.0.2", ("n2",))


def test_lines_are_added_replaced_and_taken_away() -> None:
    both = hostsfile.merge(OTHERS, [N2, N1], ["n1", "n2"])
    assert both == (
        f"{OTHERS}{hostsfile.BEGIN}\n10.0.0.1 n1 n1.c.net # node n1\n10.0.0.2 n2 # node n2\n{hostsfile.END}\n"
    )
    moved = hostsfile.merge(both, [Line("n1", "10.9.0.1", ("n1",))], ["n1"])
    assert moved == both.replace("10.0.0.1 n1 n1.c.net # node n1\n", "").replace(
        "10.0.0.2 n2 # node n2\n", "10.0.0.2 n2 # node n2\n10.9.0.1 n1 # node n1\n"
    )
    assert hostsfile.merge(both, [], ["n1", "n2"]) == OTHERS


def test_what_follows_the_lines_stays_behind_them() -> None:
    text = hostsfile.merge(OTHERS, [N1], ["n1"]) + "5.6.7.8 later\n"
    assert hostsfile.merge(text, [N2], ["n2"]).endswith(f"{hostsfile.END}\n5.6.7.8 later\n")


def test_a_lost_end_mark_loses_nobodys_line() -> None:
    text = f"{hostsfile.BEGIN}\n10.0.0.1 n1 # node n1\n5.6.7.8 mine\n"
    assert "5.6.7.8 mine\n" in hostsfile.merge(text, [N2], ["n2"])


@given(st.lists(st.sampled_from(["1.1.1.1 a", "# x", "", "2.2.2.2 b c"]), max_size=5))
def test_other_lines_are_never_touched(others: list[str]) -> None:
    text = "".join(f"{line}\n" for line in others)
    assert hostsfile.merge(hostsfile.merge(text, [N1, N2], ["n1", "n2"]), [], ["n1", "n2"]) == text


def test_foreign_names() -> None:
    text = hostsfile.merge(OTHERS, [N1], ["n1"])
    assert hostsfile.foreign(text) == {"localhost": "127.0.0.1", "printer": "1.2.3.4"}
    assert hostsfile.foreign(hostsfile.fresh([N1]))["localhost"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"hosts.ip": "10.0.0.1"}, ["10.0.0.1 n1 n1.c.net"]),
        ({"hosts.ip": "10.0.0.1", "hosts.hostnames": "a b,c"}, ["10.0.0.1 n1 n1.c.net a b c"]),
        ({"hosts.ip": "fe80::1"}, ["fe80::1 n1 n1.c.net"]),
        ({"hosts.ip": "10.0.0.1 evil"}, []),
        ({"hosts.ip": "10.0.0.1", "hosts.hostnames": "ok\n6.6.6.6 bank #x"},
         ["10.0.0.1 n1 n1.c.net ok 6.6.6.6 bank"]),
        ({"hosts.otherinterfaces": "-ib0:10.1.0.1,other:10.2.0.1"},
         ["10.1.0.1 n1-ib0 n1-ib0.c.net", "10.2.0.1 other other.c.net"]),
        ({"nics.nicips": "eth0!10.0.0.1|10.1.0.1,ib0!10.2.0.1"},
         ["10.0.0.1 n1-eth0 n1-eth0.c.net", "10.1.0.1 n1-eth0-1 n1-eth0-1.c.net",
          "10.2.0.1 n1-ib0 n1-ib0.c.net"]),
        ({"nics.nicips": "e!10.0.0.1|10.1.0.1", "nics.nichostnamesuffixes": "e!-a|-b",
          "nics.nicaliases": "e!x y|z"},
         ["10.0.0.1 n1-a n1-a.c.net x y", "10.1.0.1 n1-b n1-b.c.net z"]),
        ({"nics.nicips": "e!10.0.0.1", "nics.nichostnameprefixes": "e!pre-"},
         ["10.0.0.1 pre-n1 pre-n1.c.net"]),
        ({"nics.nicips": "b!10.0.0.1", "nics.nictypes": "b!BMC"}, []),
    ],
)  # fmt: skip
def test_the_lines_of_a_node(values: dict[str, str], expected: list[str]) -> None:
    found = node_lines("n1", values, "c.net", full_first=False)
    assert [str(line).removesuffix(" # node n1") for line in found] == expected


def test_the_full_name_first() -> None:
    (line,) = node_lines("n1", {"hosts.ip": "10.0.0.1"}, "c.net", full_first=True)
    assert line.names == ("n1.c.net", "n1")
    (line,) = node_lines("n1", {"hosts.ip": "10.0.0.1"}, "", full_first=True)
    assert line.names == ("n1",)
