"""Settings of the site table, read strictly."""

import pytest

from core.errors import RequestError
from core.jobspec import Pace
from core.site import number, pace


@pytest.mark.parametrize(("text", "expected"), [("", 3.0), ("  ", 3.0), ("5", 5.0), (" 0.5 ", 0.5)])
def test_numbers(text: str, expected: float) -> None:
    assert number({"ipmitimeout": text}, "ipmitimeout", 3.0) == expected
    assert number({}, "ipmitimeout", 3.0) == 3.0


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1e999"])
def test_what_is_no_number_is_named_with_the_command(text: str) -> None:
    with pytest.raises(RequestError, match=r"site.jobstart.*chdef -t site"):
        number({"jobstart": text}, "jobstart", 60.0)


def test_power_is_spread_only_where_both_are_set() -> None:
    assert pace({}) is None
    assert pace({"syspowerinterval": "0", "syspowermaxnodes": "5"}) is None
    assert pace({"syspowerinterval": "2.5", "syspowermaxnodes": "5"}) == Pace(2.5, 5)
    with pytest.raises(RequestError, match="syspowermaxnodes"):
        pace({"syspowerinterval": "2"})
