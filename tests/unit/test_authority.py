"""Who may still send, by his own clock; and that he is silent before anybody else may start."""

from hypothesis import given
from hypothesis import strategies as st

from routing.authority import SILENT_S, Authority, boottime
from routing.beats import LIFE_S, BeatWatch


def test_silent_from_two_seconds_after_the_sending_of_the_last_renewal() -> None:
    authority = Authority()
    assert not authority.holds(1, 0.0)
    authority.renewed(1, 10.0)
    assert authority.holds(1, 10.0 + SILENT_S - 0.001)
    assert not authority.holds(1, 10.0 + SILENT_S)
    assert not authority.holds(2, 10.0)


def test_an_older_renewal_that_is_confirmed_later_takes_nothing_away_and_adds_nothing() -> None:
    authority = Authority()
    authority.renewed(1, 10.0)
    authority.renewed(1, 9.0)
    assert authority.holds(1, 11.9)
    authority.lost(1)
    assert not authority.holds(1, 10.0)
    authority.lost(1)


Gaps = st.lists(st.tuples(*[st.floats(0, 4) for _ in range(4)]), min_size=1, max_size=12)


@given(Gaps)
def test_nobody_is_given_up_while_he_may_send(history: list[tuple[float, float, float, float]]) -> None:
    """Whatever time passes between the sending, the commit, the confirmation and the look."""
    authority, watch, now = Authority(), BeatWatch(), 100.0
    for beat, (before, commit, confirm, look) in enumerate(history):
        now += before
        sent_at = now
        now += commit
        committed, looked = beat + 1, now + look
        now += confirm
        authority.renewed(1, sent_at)
        now = max(now, looked)
        watch.look(now, {"1": committed})
        if watch.dead(now, "1"):
            assert not authority.holds(1, now)
    assert not authority.holds(1, now + LIFE_S)


def test_the_clock_is_the_one_that_runs_on_during_suspend() -> None:
    assert boottime() <= boottime()
