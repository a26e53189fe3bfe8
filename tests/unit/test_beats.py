"""Beats, judged by their changes on the judge's own clock."""

from routing.beats import LIFE_S, BeatWatch


def test_dead_after_a_whole_life_without_a_change() -> None:
    watch = BeatWatch()
    watch.look(0.0, {"a": 5})
    watch.look(2.0, {"a": 5})
    assert not watch.dead(LIFE_S - 0.01, "a")
    assert watch.dead(LIFE_S, "a")


def test_every_change_counts_even_backwards() -> None:
    watch = BeatWatch()
    watch.look(0.0, {"a": 5})
    watch.look(2.0, {"a": 4})
    assert not watch.dead(4.9, "a")
    assert watch.dead(5.0, "a")


def test_a_stranger_is_not_dead() -> None:
    assert not BeatWatch().dead(1000.0, "a")


def test_who_is_gone_is_forgotten_and_returns_as_new() -> None:
    watch = BeatWatch()
    watch.look(0.0, {"a": 5})
    watch.look(1.0, {})
    watch.look(9.0, {"a": 5})
    assert not watch.dead(11.9, "a")


def test_after_a_pause_of_the_judge_everybody_gets_a_whole_life() -> None:
    watch = BeatWatch()
    watch.look(0.0, {"a": 5})
    watch.begin_anew(10.0)
    watch.look(10.0, {"a": 5})
    assert not watch.dead(12.9, "a")
    assert watch.dead(13.0, "a")
