"""Judging leases, one rule of PROTOCOL 8 and 21 after the other."""

import pytest

from core.lease import PROTOCOL, Lease, Reading
from routing.liveness import LIFE_S, Kind, Observer

STEP = 0.25


class Cluster:
    """An observer with hands on the clock, the leases and Redis."""

    def __init__(self) -> None:
        self.observer = Observer()
        self.now = 100.0
        self.era = "e1"
        self.leases: dict[str, Lease] = {}

    def add(
        self, name: str, *, boot: str = "b1", protocol: int = PROTOCOL, aliases: tuple[str, ...] = ()
    ) -> None:
        self.leases[name] = Lease(name=name, beat=0, boot=boot, protocol=protocol, aliases=aliases)

    def change(
        self, name: str, *, beat: int | None = None, boot: str | None = None, database_ok: bool = True
    ) -> None:
        old = self.leases[name]
        self.leases[name] = Lease(
            name=name,
            beat=old.beat + 1 if beat is None else beat,
            boot=boot or old.boot,
            protocol=old.protocol,
            aliases=old.aliases,
            database_ok=database_ok,
        )

    def look(self, after: float = STEP) -> None:
        self.now += after
        self.observer.saw(self.now, Reading(self.era, dict(self.leases)))

    def fail(self, after: float = STEP) -> None:
        self.now += after
        self.observer.saw(self.now, None)

    def live_on(self, seconds: float, *beating: str) -> None:
        for _ in range(round(seconds / STEP)):
            for name in beating:
                self.change(name)
            self.look()

    def kind(self, name: str) -> Kind:
        return self.observer.state(name).kind

    def reason(self, name: str) -> str:
        return self.observer.state(name).reason


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.add("sn1")
    made.add("sn2")
    made.look()
    return made


def test_before_any_look_everything_is_unknown() -> None:
    state = Observer().state("sn1")
    assert state.kind is Kind.UNKNOWN
    assert state.reason == "nobody can be judged: the management node has just started"


def test_a_lease_alone_proves_nothing_and_one_change_does(cluster: Cluster) -> None:
    assert cluster.kind("sn1") is Kind.UNKNOWN
    cluster.change("sn1")
    cluster.look()
    assert cluster.kind("sn1") is Kind.LIVE
    assert not cluster.observer.settled


def test_dead_after_a_life_without_a_change_and_not_before(cluster: Cluster) -> None:
    cluster.live_on(4, "sn1", "sn2")
    cluster.live_on(LIFE_S - STEP, "sn2")
    assert cluster.kind("sn1") is Kind.LIVE
    cluster.live_on(STEP, "sn2")
    assert (cluster.kind("sn1"), cluster.kind("sn2")) == (Kind.DEAD, Kind.LIVE)
    assert cluster.reason("sn1") == "sn1 has given no sign of life for 3.0 s"


def test_a_lease_that_vanished_is_dead_after_a_life_too(cluster: Cluster) -> None:
    cluster.live_on(4, "sn1")
    del cluster.leases["sn1"]
    cluster.live_on(LIFE_S - STEP)
    assert cluster.kind("sn1") is Kind.LIVE
    cluster.look()
    assert cluster.kind("sn1") is Kind.DEAD


def test_a_name_never_seen_is_unknown_until_the_observer_has_settled(cluster: Cluster) -> None:
    cluster.live_on(LIFE_S - STEP)
    assert cluster.kind("sn9") is Kind.UNKNOWN
    cluster.look()
    assert cluster.observer.settled
    assert cluster.kind("sn9") is Kind.DEAD
    assert cluster.reason("sn9") == "sn9 has never given a sign of life"


def test_a_dead_one_returns_with_the_fourth_beat(cluster: Cluster) -> None:
    cluster.live_on(LIFE_S + 1)
    for beats in range(1, 4):
        cluster.live_on(STEP, "sn1")
        assert cluster.kind("sn1") is Kind.DEAD
        assert cluster.reason("sn1") == f"sn1 came back, {beats} of 4 beats seen"
    cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is Kind.LIVE


def test_four_beats_with_a_life_of_silence_between_them_do_not_count(cluster: Cluster) -> None:
    cluster.live_on(LIFE_S + 1)
    cluster.live_on(3 * STEP, "sn1")
    cluster.live_on(LIFE_S + STEP)
    cluster.live_on(3 * STEP, "sn1")
    assert cluster.kind("sn1") is Kind.DEAD


def test_a_newcomer_to_a_settled_observer_shows_four_beats(cluster: Cluster) -> None:
    cluster.live_on(4)
    cluster.add("sn3")
    cluster.look()
    cluster.live_on(3 * STEP, "sn3")
    assert cluster.kind("sn3") is Kind.DEAD
    cluster.live_on(STEP, "sn3")
    assert cluster.kind("sn3") is Kind.LIVE


def test_a_worker_started_anew_is_unknown_until_its_fourth_beat(cluster: Cluster) -> None:
    cluster.live_on(4, "sn1")
    cluster.change("sn1", boot="b2", beat=1)
    cluster.look()
    assert cluster.kind("sn1") is Kind.UNKNOWN
    cluster.live_on(3 * STEP, "sn1")
    assert cluster.kind("sn1") is Kind.UNKNOWN
    cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is Kind.LIVE


def test_a_worker_that_starts_over_and_over_is_dead_in_the_end(cluster: Cluster) -> None:
    cluster.live_on(4, "sn1")
    for number in range(7):
        cluster.change("sn1", boot=f"crash{number}", beat=1)
        cluster.look()
        cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is Kind.DEAD


@pytest.mark.parametrize("trouble", ["silence", "restart", "pause"])
def test_trouble_with_redis_or_a_pause_begins_the_observation_anew(cluster: Cluster, trouble: str) -> None:
    cluster.live_on(4, "sn1")
    assert (cluster.kind("sn1"), cluster.kind("sn2")) == (Kind.LIVE, Kind.DEAD)
    if trouble == "silence":
        cluster.fail()
        assert cluster.reason("sn1") == "nobody can be judged: Redis did not answer"
        cluster.look()
    elif trouble == "restart":
        cluster.era = "e2"
        cluster.look()
    else:
        cluster.look(after=1.01)
    assert not cluster.observer.settled
    assert {cluster.kind(name) for name in ("sn1", "sn2", "sn9")} == {Kind.UNKNOWN}
    cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is Kind.LIVE
    cluster.live_on(LIFE_S - 2 * STEP, "sn1")
    assert cluster.kind("sn2") is Kind.UNKNOWN
    cluster.live_on(STEP, "sn1")
    assert (cluster.kind("sn1"), cluster.kind("sn2"), cluster.observer.settled) == (
        Kind.LIVE,
        Kind.DEAD,
        True,
    )


def test_a_dead_one_still_owes_four_beats_after_an_outage_of_redis(cluster: Cluster) -> None:
    cluster.live_on(4)
    cluster.fail()
    cluster.look()
    cluster.live_on(3 * STEP, "sn1")
    assert cluster.kind("sn1") is Kind.UNKNOWN
    cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is Kind.LIVE


def test_a_look_a_second_apart_is_no_pause(cluster: Cluster) -> None:
    for _ in range(4):
        cluster.change("sn1")
        cluster.look(after=1.0)
    assert cluster.observer.settled
    assert cluster.kind("sn1") is Kind.LIVE


def test_an_sn_without_the_database_is_alive_but_gets_no_work(cluster: Cluster) -> None:
    for _ in range(round(LIFE_S / STEP)):
        cluster.change("sn1", database_ok=False)
        cluster.look()
        assert cluster.kind("sn1") is Kind.UNKNOWN
    cluster.change("sn1", database_ok=False)
    cluster.look()
    state = cluster.observer.state("sn1")
    assert (state.kind, state.reason) == (Kind.UNUSABLE, "sn1 cannot reach the database")
    assert not state.usable


@pytest.mark.parametrize(
    ("spoken", "kind"), [(4, Kind.UNUSABLE), (5, Kind.LIVE), (6, Kind.LIVE), (7, Kind.UNUSABLE)]
)
def test_protocol_n_and_the_one_before_get_work(spoken: int, kind: Kind) -> None:
    cluster = Cluster()
    cluster.observer = Observer(protocol=6)
    cluster.add("sn1", protocol=spoken)
    cluster.look()
    cluster.live_on(STEP, "sn1")
    assert cluster.kind("sn1") is kind
    if kind is Kind.UNUSABLE:
        assert cluster.reason("sn1") == f"sn1 speaks protocol {spoken}, this management node 6"


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("sn1", "sn1"),
        ("SN1", "sn1"),
        ("sn1.cluster", "sn1"),
        ("sn1.cluster.", "sn1"),
        ("sn1.elsewhere", None),
        ("boss", "sn1"),
        ("boss.elsewhere", None),
        ("10.0.0.1", "sn1"),
        ("10", None),
        ("sn2", "sn2"),
        ("sn2.any.domain", "sn2"),
        ("sn", None),
        ("", None),
    ],
)
def test_names_are_found_by_short_name_domain_and_alias(called: str, found: str | None) -> None:
    cluster = Cluster()
    cluster.add("sn1", aliases=("sn1.cluster", "boss", "10.0.0.1"))
    cluster.add("sn2")
    cluster.look()
    assert cluster.observer.find(called) == found


def test_a_name_that_two_hosts_claim_gets_no_work_unless_it_is_their_own() -> None:
    cluster = Cluster()
    cluster.add("sn1", aliases=("gate",))
    cluster.add("sn2", aliases=("gate", "sn1"))
    cluster.look()
    assert cluster.observer.find("gate") is None
    assert cluster.kind("gate") is Kind.UNUSABLE
    assert cluster.reason("gate") == "gate is ambiguous: sn1 and sn2 both answer to it"
    assert cluster.observer.find("sn1") == "sn1"
