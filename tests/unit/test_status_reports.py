"""What nodes may say of themselves, and what anybody else may say."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestError
from core.nodestatus import LONGEST, NEXT, STATES, clock, parse
from drivers.statusport import plain


@pytest.mark.parametrize("status", sorted(STATES))
def test_every_status_of_xcat_is_heard(status: str) -> None:
    line = f"installstatus {status}\r\n".encode()
    assert parse(line) == status
    assert len(line) < LONGEST


def test_an_installer_says_next() -> None:
    assert parse(b"next\n") == NEXT


@pytest.mark.parametrize(
    "line",
    [b"\n", b"installstatus\n", b"installstatus booted n2\n", b"next n2\n", b"Booted\n", b"\xff\xfe\n"],
)
def test_nothing_else_is(line: bytes) -> None:
    with pytest.raises(RequestError, match="say 'installstatus STATUS' or 'next'"):
        parse(line)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_word_or_refused_in_one_printable_line(line: bytes) -> None:
    try:
        assert parse(line) in STATES | {NEXT}
    except RequestError as error:
        assert error.message.isprintable()
        assert len(error.message) < 500


def test_times_are_written_as_xcat_does() -> None:
    assert clock(time.mktime((2026, 3, 9, 7, 5, 1, 0, 0, -1))) == "03-09-2026 07:05:01"


@pytest.mark.parametrize(
    ("peer", "address"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("::1", "::1")],
)
def test_addresses_are_those_of_the_tables(peer: str, address: str) -> None:
    assert plain(peer) == address
