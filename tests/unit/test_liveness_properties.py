"""What must hold for every history of looks, outages, pauses, crashes and returns (hypothesis)."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from core.lease import Lease, Reading
from routing.liveness import LIFE_S, PAUSE_S, Kind, Observer


@dataclass(frozen=True)
class Look:
    """One turn of the observer's loop: how long after the last, and what it met."""

    gap: float
    reads: bool
    era: int
    present: bool
    boot: int
    beats: bool


def looks(gap: st.SearchStrategy[float]) -> st.SearchStrategy[list[Look]]:
    rarely = st.integers(0, 9).map(lambda number: number == 0)
    one = st.builds(
        Look,
        gap=gap,
        reads=rarely.map(lambda fails: not fails),
        era=rarely.map(int),
        present=rarely.map(lambda absent: not absent),
        boot=rarely.map(int),
        beats=st.booleans(),
    )
    return st.lists(one, max_size=60)


@settings(max_examples=300)
@given(looks(st.sampled_from([0.0625, 0.25, 0.25, 0.5, 1.0, 1.5, 20.0])))
def test_dead_only_after_a_whole_life_of_unbroken_reads_without_being_live(history: list[Look]) -> None:
    observer, now, beat = Observer(), 0.0, 0
    unbroken_since: float | None = None
    era = None
    last_live = float("-inf")
    for look in history:
        now += look.gap
        beat += look.beats
        if not look.reads:
            observer.saw(now, None)
            unbroken_since = None
        else:
            lease = Lease(name="sn1", beat=beat, boot=str(look.boot))
            observer.saw(now, Reading(str(look.era), {"sn1": lease} if look.present else {}))
            if unbroken_since is None or look.gap > PAUSE_S or look.era != era:
                unbroken_since = now
            era = look.era
        state = observer.state("sn1")
        assert state.reason
        assert observer.settled == (unbroken_since is not None and now - unbroken_since >= LIFE_S)
        if state.kind is Kind.DEAD:
            assert unbroken_since is not None
            assert now - unbroken_since >= LIFE_S
            assert now - last_live > 0
        if state.kind is Kind.LIVE:
            assert unbroken_since is not None
            last_live = now
        if observer.state("never seen").kind is Kind.DEAD:
            assert observer.settled


@given(
    st.lists(st.floats(0.01, 0.9), min_size=1, max_size=60),
    st.floats(0.1, 0.5),
)
def test_one_that_beats_is_never_dead_for_an_observer_without_gaps(gaps: list[float], every: float) -> None:
    observer, now = Observer(), 0.0
    for gap in gaps:
        now += gap
        observer.saw(now, Reading("e", {"sn1": Lease(name="sn1", beat=int(now / every), boot="b")}))
        assert observer.state("sn1").kind is not Kind.DEAD
    if now >= LIFE_S:
        assert observer.state("sn1").kind is Kind.LIVE


@given(st.lists(st.sampled_from([0.125, 0.25, 0.5, 1.0]), min_size=1, max_size=60))
def test_one_that_fell_silent_is_dead_exactly_a_life_after_its_last_change(gaps: list[float]) -> None:
    observer, now = Observer(), 0.0
    for beat in range(20):
        now += 0.25
        observer.saw(now, Reading("e", {"sn1": Lease(name="sn1", beat=beat, boot="b")}))
    silent_since = now
    for gap in gaps:
        now += gap
        observer.saw(now, Reading("e", {"sn1": Lease(name="sn1", beat=19, boot="b")}))
        dead = observer.state("sn1").kind is Kind.DEAD
        assert dead == (now - silent_since >= LIFE_S)


@given(st.lists(st.booleans(), max_size=40))
def test_a_dead_one_is_never_live_before_four_changes(beats: list[bool]) -> None:
    observer, now, beat, changes = Observer(), 0.0, 0, 0
    for _ in range(20):
        now += 0.25
        observer.saw(now, Reading("e", {"sn1": Lease(name="sn1", beat=0, boot="b")}))
    assert observer.state("sn1").kind is Kind.DEAD
    for moves in beats:
        now += 0.25
        beat += moves
        changes += moves
        observer.saw(now, Reading("e", {"sn1": Lease(name="sn1", beat=beat, boot="b")}))
        if changes < 4:
            assert observer.state("sn1").kind is Kind.DEAD
