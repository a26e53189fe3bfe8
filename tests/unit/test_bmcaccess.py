"""Where a BMC is and how to log in."""

import pytest

from core.bmcaccess import Access, choose, split_port
from core.errors import NoBmcAddress, NodeError, UnsupportedAction

FULL = {"nodehm.mgt": "ipmi", "ipmi.bmc": "10.0.0.7", "ipmi.username": "root", "ipmi.password": "secret"}


def test_the_node_s_own_values() -> None:
    assert choose("n1", FULL, {"ipmi": ("other", "word")}) == Access("10.0.0.7", 623, "root", "secret")


def test_power_goes_before_mgt() -> None:
    with pytest.raises(UnsupportedAction, match="'hmc'"):
        choose("n1", {**FULL, "nodehm.power": "hmc"}, {})


@pytest.mark.parametrize("missing", ["nodehm.mgt", "ipmi.bmc"])
def test_what_is_missing_is_named_with_the_command(missing: str) -> None:
    with pytest.raises(NodeError, match="chdef n1 "):
        choose("n1", {**FULL, missing: ""}, {})


def test_the_passwd_row_serves_only_where_both_are_missing() -> None:
    bare = {**FULL, "ipmi.username": "", "ipmi.password": ""}
    assert choose("n1", bare, {"ipmi": ("admin", "word")}).username == "admin"
    assert choose("n1", {**bare, "ipmi.username": "me"}, {"ipmi": ("admin", "word")}).password == ""
    with pytest.raises(NodeError, match="passwd"):
        choose("n1", bare, {})


@pytest.mark.parametrize(("column", "length"), [("ipmi.username", 17), ("ipmi.password", 21)])
def test_what_ipmi_cannot_carry_is_refused_and_not_printed(column: str, length: int) -> None:
    value = "é" * (length // 2 + 1)
    with pytest.raises(NodeError) as caught:
        choose("n1", {**FULL, column: value}, {})
    assert value not in str(caught.value)


def test_credentials_are_never_printed() -> None:
    shown = repr(choose("n1", FULL, {}))
    assert "root" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.7", ("10.0.0.7", 623)),
        ("bmc7:6230", ("bmc7", 6230)),
        ("fd00::7", ("fd00::7", 623)),
        ("[fd00::7]", ("fd00::7", 623)),
        ("[fd00::7]:6230", ("fd00::7", 6230)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert split_port(text) == expected


@pytest.mark.parametrize("text", ["bmc7:", "bmc7:0", "bmc7:65536", "bmc7:x", ":623", "[]:623", "[]"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(NoBmcAddress):
        split_port(text)
