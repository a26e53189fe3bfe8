"""Which service node comes next, and how large batches are."""

from hypothesis import given
from hypothesis import strategies as st

from routing.liveness import Kind, Liveness
from routing.planning import (
    BATCH_MAX,
    BATCH_MIN,
    FIRST_MAX,
    Tried,
    batch_size,
    choose,
    explain,
    queue_of,
    read_tried,
    write_tried,
)

KINDS = st.sampled_from(list(Kind))
POOL = ["sn1", "sn2", "sn3", "sn4"]


@given(st.lists(KINDS, min_size=4, max_size=4), st.sets(st.sampled_from(POOL)))
def test_the_first_live_and_untried_member_is_chosen(kinds: list[Kind], tried: set[str]) -> None:
    standing = dict(zip(POOL, kinds, strict=True))
    choice = choose(POOL, tried, lambda name: Liveness(standing[name], f"{name} is {standing[name]}"))
    left = [name for name in POOL if name not in tried]
    reached = next((n for n in left if standing[n] in (Kind.LIVE, Kind.UNKNOWN)), None)
    assert choice.member == (reached if reached and standing[reached] is Kind.LIVE else None)
    assert choice.wait == (reached is not None and standing[reached] is Kind.UNKNOWN)
    passed = left if reached is None else left[: left.index(reached)]
    assert choice.absent == tuple(Tried(name, f"{name} is {standing[name]}") for name in passed)


@given(st.integers(1, 20_000), st.integers(-1, 64), st.integers(0, 9))
def test_batches_are_neither_tiny_nor_huge(nodes: int, children: int, given: int) -> None:
    size = batch_size(nodes, children, given)
    assert 1 <= size <= min(nodes, BATCH_MAX)
    assert size >= min(nodes, BATCH_MIN)


def test_every_child_of_a_service_node_gets_work() -> None:
    assert batch_size(1600, 4, given=0) == 400
    assert [batch_size(10_000, 4, number) for number in (0, 3, 4)] == [FIRST_MAX, FIRST_MAX, BATCH_MAX]


def test_small_jobs_have_a_queue_of_their_own() -> None:
    assert [queue_of("sn1", size) for size in (1, 32, 33)] == ["sn1", "sn1", "sn1.bulk"]


@given(st.lists(st.builds(Tried, st.text(), st.text()), max_size=4))
def test_what_was_tried_is_read_as_it_was_written(tried: list[Tried]) -> None:
    assert read_tried(write_tried(tried)) == tuple(tried)


def test_every_service_node_is_named_with_its_reason() -> None:
    assert explain([Tried("sn1", "silent"), Tried("sn2", "dead")]) == "sn1: silent; sn2: dead"
    assert explain([]) == "no service node serves it"
