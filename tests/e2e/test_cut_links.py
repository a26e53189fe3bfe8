"""One service node cut off from Redis, from the database, or from the BMCs, each alone.

A cut loses packets and refuses nothing. The hosts are network namespaces, so all of this needs root.
"""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from netbox import BMC, DATABASE, REDIS, SUBNETS, NetBox, address, net_rig
from rig import Asked, Rig, counts, settled

from core.fold import unfold
from core.states import NodeState, Outcome
from db import events
from drivers import leases
from routing.authority import SILENT_S
from routing.held import MOST_UNKNOWN
from routing.liveness import BEATS_TO_RETURN

pytestmark = pytest.mark.postgres
NODES = 300
#: Long enough to cut in the middle, between a reset and its answer.
LATENCY_S = 0.2
#: Shorter than the three seconds of a life.
BLINK_S = 1.0


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The cluster on hosts of its own."""
    with net_rig(tmp_path_factory.mktemp("net"), 2 * (NODES + 50)) as rig:
        rig.beating()
        yield rig


@pytest.fixture
def rig(spread: Rig) -> Iterator[Rig]:
    """All BMCs well at the beginning and all links whole at the end."""
    spread.quiet()
    yield spread
    mend(spread)


def cut(rig: Rig, *switches: str) -> None:
    """Nothing passes between sn1 and these switches."""
    assert isinstance(rig.box, NetBox)
    rig.box.lan.cut("sn1", *switches)


def mend(rig: Rig) -> None:
    """Every link of sn1 is whole."""
    assert isinstance(rig.box, NetBox)
    rig.box.lan.mend("sn1", *SUBNETS)


def of_sn1(rig: Rig, first: int, number: int) -> list[str]:
    """Nodes that sn1 serves first."""
    return [rig.node(first + count) for count in range(number)]


def in_the_middle(rig: Rig) -> Asked:
    """A bulk reset on sn1: all of it claimed, some resets sent whose answers are still under way."""
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(of_sn1(rig, 1, NODES), "reset")

    def sending() -> bool:
        states = {state for state, _ in rig.states(asked.job).values()}
        return NodeState.ISSUED in states and not states & {NodeState.WAITING, NodeState.BOUND}

    rig.until(sending, "the job does not begin")
    return asked


def why(rig: Rig, node: str) -> str:
    """What an administrator is told."""
    return rig.box.must("serval", "why", node).out


def few_unknown(rig: Rig, asked: Asked) -> bool:
    """Whether no more resets than may be in flight at once have an unknown outcome, and some have."""
    return 0 < counts(rig, asked)[Outcome.UNKNOWN] <= MOST_UNKNOWN * len(rig.pool_children("sn1", bulk=True))


def returned(rig: Rig) -> None:
    """Wait until sn1 has beaten more often than it takes to be trusted again, and reaches the database."""
    beats: set[int] = set()
    with closing(leases.connect(rig.broker)) as client:

        def trusted() -> bool:
            lease = leases.read_all(client).get("sn1")
            if lease is None:
                return False
            beats.add(lease.beat)
            return lease.database_ok and len(beats) > BEATS_TO_RETURN + 3

        rig.until(trusted, "sn1 does not come back")


def works_as_before(rig: Rig) -> None:
    """sn1 gets work again, as the first of its pool."""
    rig.box.control.heal()
    before = rig.box.control.received("reset")
    asked = rig.ask(of_sn1(rig, 1, 40), "reset").wait()
    assert asked.status == 0, asked.err
    assert {(line["sn"], len(line["tried"])) for line in asked.said} == {("sn1", 0)}  # type: ignore[arg-type]
    after = rig.box.control.received("reset")
    assert all(after[rig.address(node)] == before[rig.address(node)] + 1 for node in asked.nodes)


def test_from_redis(rig: Rig) -> None:
    """What it has claimed it does to the end; what it cannot hear of goes to the next one."""
    asked = in_the_middle(rig)
    cut(rig, REDIS)
    unheard = rig.ask(of_sn1(rig, NODES + 1, 20), "reset")
    asked.wait()
    unheard.wait()
    settled(rig, asked, unheard, lost=["sn1"])
    assert asked.status == 0
    assert {line["sn"] for line in asked.said} == {"sn1"}
    assert not rig.events(asked.job, "fence")
    assert {(line["sn"], line["outcome"]) for line in unheard.said} == {("sn2", Outcome.OK)}
    assert "sn1 has given no sign of life" in why(rig, unheard.nodes[0])
    mend(rig)
    returned(rig)
    works_as_before(rig)


@pytest.mark.parametrize("links", [(DATABASE,), (REDIS, DATABASE)], ids=["database", "both"])
def test_from_the_database(rig: Rig, links: tuple[str, ...]) -> None:
    """It falls silent before its work is given away; late answers are events, and outcomes stay."""
    asked = in_the_middle(rig)
    cut(rig, *links)
    small = rig.ask(of_sn1(rig, NODES + 1, 20), "reset")
    time.sleep(SILENT_S)
    silent = rig.box.control.received("reset")
    rig.until(lambda: bool(rig.events(asked.job, "fence")), "nothing is given away")
    small.wait()
    mend(rig)
    asked.wait()
    settled(rig, asked, small, lost=["sn1"])
    assert {(line["sn"], line["outcome"]) for line in small.said} == {("sn2", Outcome.OK)}
    told = "sn1 has given no sign of life" if REDIS in links else "sn1 cannot reach the database"
    assert told in why(rig, small.nodes[0])
    results, received = rig.results(asked.job), rig.box.control.received("reset")
    unknown = {node for node, found in results.items() if found.outcome == Outcome.UNKNOWN}
    taken = {node for node, found in results.items() if found.sn == "sn2"}
    assert taken
    assert few_unknown(rig, asked)
    for node in set(asked.nodes) - taken:
        assert received[rig.address(node)] == silent[rig.address(node)]
    assert "sn1 gave no beat for 3 s" in why(rig, min(taken))
    late_events(rig, asked, unknown)
    returned(rig)
    works_as_before(rig)


def late_events(rig: Rig, asked: Asked, unknown: set[str]) -> None:
    """Most BMCs had answered; when sn1 reaches the database again it says so, and no outcome changes."""

    def told() -> set[str]:
        found = rig.read(lambda c: events.of_job(c, asked.job))
        return {node for one in found if one.kind == "late" for node in unfold(one.nodes)}

    rig.until(lambda: unknown <= told(), "the late answers are not told")
    # A mark whose commit was cut off is durable or not, and sn1 sends nothing: that is told too.
    said = [why(rig, node) for node in (min(unknown), max(unknown))]
    assert all("late answer from sn1 (ok" in one or "nothing was sent" in one for one in said)
    assert {
        node for node, found in rig.results(asked.job).items() if found.outcome == Outcome.UNKNOWN
    } == unknown


def test_a_blink(rig: Rig) -> None:
    """Redis and database gone for a second: nothing is lost and nobody is given up."""
    asked = in_the_middle(rig)
    cut(rig, REDIS, DATABASE)
    time.sleep(BLINK_S)
    mend(rig)
    asked.wait()
    settled(rig, asked)
    assert asked.status == 0
    assert {line["sn"] for line in asked.said} == {"sn1"}


@pytest.fixture
def impatient(rig: Rig) -> Iterator[Rig]:
    """A site that gives a BMC up after a short while."""
    rig.box.must("chdef", "-t", "site", "clustersite", "ipmitimeout=0.6", "ipmiretries=4")
    yield rig
    rig.box.must("chdef", "-t", "site", "clustersite", "ipmitimeout=", "ipmiretries=")


def test_from_the_bmcs(impatient: Rig) -> None:
    """Before anything was sent the next one tries; a reset without an answer is unknown."""
    rig = impatient
    asked = in_the_middle(rig)
    cut(rig, BMC)
    before = rig.ask(of_sn1(rig, NODES + 1, 20), "reset")
    before.wait()
    asked.wait()
    settled(rig, asked, before)
    assert {(line["sn"], line["outcome"]) for line in before.said} == {("sn2", Outcome.OK)}
    assert "→ sn2" in why(rig, before.nodes[0])
    told = {node: (found.outcome, found.sn) for node, found in rig.results(asked.job).items()}
    assert {one for one in told.values() if one != (Outcome.OK, "sn1")} == {
        (Outcome.UNKNOWN, "sn1"),
        (Outcome.OK, "sn2"),
    }
    assert few_unknown(rig, asked)
    lost = [str(line["message"]) for line in asked.said if line["outcome"] == Outcome.UNKNOWN]
    assert all("was sent by sn1 and not answered" in text for text in lost)
    mend(rig)
    works_as_before(rig)


def test_a_bmc_that_is_deaf_to_one(impatient: Rig) -> None:
    """The simulator's fault by source address: that service node alone hears nothing of these BMCs."""
    rig = impatient
    nodes = of_sn1(rig, 1, 60)
    deaf = set(nodes[:10])
    rig.box.control.faults([rig.address(node) for node in deaf], deaf_to=address("sn1", BMC))
    asked = rig.ask(nodes, "reset").wait()
    settled(rig, asked)
    assert asked.status == 0
    assert {str(line["node"]) for line in asked.said if line["sn"] == "sn2"} == deaf
    told = {str(line["node"]): [name for name, _ in line["tried"]] for line in asked.said}  # type: ignore[attr-defined]
    assert {node for node, tried in told.items() if tried == ["sn1"]} == deaf
