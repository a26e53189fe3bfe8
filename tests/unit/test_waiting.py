"""Attempts that nobody claims: published again, and given on when their queue stands still."""

from dataclasses import replace

import pytest

from db.supervision import OpenAttempt
from routing.waiting import CLAIM_S, REPUBLISH_S, Waiting, room

ONE = OpenAttempt(1, 1, "sn1", "sn1.bulk", "n1", 1, 0, None, None, None)


def test_an_attempt_is_late_until_it_was_sent_and_again_after_a_while() -> None:
    waiting = Waiting()
    waiting.look(0.0, [ONE])
    assert waiting.late(0.0, ONE)
    waiting.sent(0.0, 1)
    assert not waiting.late(REPUBLISH_S - 0.1, ONE)
    assert waiting.late(REPUBLISH_S, ONE)
    assert not waiting.late(99.0, replace(ONE, claimed=1.0))


def test_publishing_again_does_not_start_the_claim_time_again() -> None:
    waiting = Waiting()
    for second in range(0, 10, 5):
        waiting.look(float(second), [ONE])
        waiting.sent(float(second), 1)
    assert not waiting.stuck(CLAIM_S - 0.1, ONE, [ONE])
    assert waiting.stuck(CLAIM_S, ONE, [ONE])


def test_a_queue_that_moves_is_not_stuck() -> None:
    waiting = Waiting()
    other = replace(ONE, id=2, claimed=5.0, released=6.0)
    waiting.look(0.0, [ONE])
    waiting.look(6.0, [ONE, other])
    assert not waiting.stuck(15.9, ONE, [ONE, other])
    assert waiting.stuck(16.0, ONE, [ONE, other])


def test_who_works_for_long_is_waited_for() -> None:
    waiting = Waiting()
    other = replace(ONE, id=2, claimed=5.0)
    waiting.look(0.0, [ONE, other])
    assert not waiting.stuck(1000.0, ONE, [ONE, other])
    assert waiting.stuck(1000.0, ONE, [ONE, replace(other, queue="sn1")])


@pytest.mark.parametrize("forget", [Waiting.begin_anew, Waiting.emptied])
def test_after_an_outage_the_claim_time_starts_again(forget: object) -> None:
    waiting = Waiting()
    waiting.look(0.0, [ONE])
    waiting.sent(0.0, 1)
    assert callable(forget)
    forget(waiting)
    waiting.look(9.0, [ONE])
    assert not waiting.stuck(18.9, ONE, [ONE])
    assert waiting.late(1.0, ONE) == (forget is Waiting.emptied)


def test_what_is_over_is_forgotten() -> None:
    waiting = Waiting()
    waiting.look(0.0, [ONE, replace(ONE, id=2, claimed=1.0)])
    waiting.sent(0.0, 1)
    waiting.look(1.0, [])
    assert (waiting.since, waiting.published, waiting.claimed) == ({}, {}, set())


def test_room_in_a_queue() -> None:
    taken = [ONE, replace(ONE, id=2, claimed=1.0), replace(ONE, id=3, claimed=1.0, released=2.0)]
    assert room("sn1.bulk", 2, taken) == 1
    assert room("sn1.bulk", 1, taken) == 0
    assert room("sn1", 2, taken) == 10
