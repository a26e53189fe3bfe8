"""The text form of a lease, read from friends, neighbours of other releases and strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.lease import Lease, from_text, to_text

WORDS = st.text(max_size=10)
LEASES = st.builds(
    Lease,
    name=st.just("sn1"),
    beat=st.integers(0, 2**60),
    boot=WORDS,
    release=WORDS,
    protocol=st.integers(0, 99),
    role=st.sampled_from(["mn", "sn"]),
    aliases=st.lists(WORDS, max_size=3).map(tuple),
    kernel=WORDS,
    database_ok=st.booleans(),
    at=st.floats(allow_nan=False, allow_infinity=False),
    load=st.dictionaries(WORDS, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)


@given(LEASES)
def test_a_lease_survives_its_text(lease: Lease) -> None:
    assert from_text("sn1", to_text(lease)) == lease


def test_a_neighbour_of_another_release_is_understood_as_far_as_needed() -> None:
    told = from_text(
        "sn1", '{"beat": 3, "boot": "b", "protocol": 9, "colour": "red", "load": [1], "aliases": 7}'
    )
    assert told == Lease(name="sn1", beat=3, boot="b", protocol=9)


def test_numbers_that_are_none_are_left_out() -> None:
    text = '{"beat": 1, "boot": "b", "protocol": 1, "load": {"a": NaN, "b": Infinity, "c": "x", "d": 2}}'
    assert from_text("sn1", text).load == {"d": 2.0}


@pytest.mark.parametrize("at", ['"noon"', "null", "NaN", "[]"])
def test_a_clock_that_tells_no_time_spoils_nothing(at: str) -> None:
    assert from_text("sn1", f'{{"beat": 1, "boot": "b", "protocol": 1, "at": {at}}}').at == 0.0


@given(st.text(max_size=60))
def test_rubbish_is_refused_with_the_name(text: str) -> None:
    with pytest.raises(DefinitionError, match="lease of sn1"):
        from_text("sn1", text)


@pytest.mark.parametrize("text", ["{}", "3", '{"beat": 1, "boot": "b", "protocol": 1e999}', "[" * 100_000])
def test_json_that_is_no_lease_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="lease of sn1"):
        from_text("sn1", text)
