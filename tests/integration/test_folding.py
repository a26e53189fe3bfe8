"""Jobs that find all as it was asked for: nodes have no rows before they end, and nobody misses them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from spread_rig import Cluster

from core.states import JobState, Outcome
from db import folding, jobs
from db.engine import reading

SAME = {"n1": ("sn1,sn2", "one"), "n2": ("sn1,sn2", "two"), "n3": ("sn2,sn3", "three")}
ENDED = {
    "n1": (Outcome.OK, "boot", "sn1"),
    "n2": (Outcome.OK, "boot", "sn1"),
    "n3": (Outcome.OK, "boot", "sn2"),
}


@pytest.fixture
def cluster(database_url: str, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(database_url, tmp_path)
    made.ask(SAME)
    made.stage.settle()
    yield made


def rows(cluster: Cluster, number: int) -> int:
    """How many nodes of a job have a row."""
    with reading(cluster.engine) as connection:
        return sum(jobs.node_state(connection, number, node) is not None for node in SAME)


def test_nodes_get_their_rows_when_they_end(cluster: Cluster) -> None:
    number = cluster.ask(SAME, fold=True)
    with reading(cluster.engine) as connection:
        info = jobs.info(connection, number)
        assert info and (info.size, dict(info.counts), info.state) == (3, {"": 3}, JobState.ACTIVE)
        assert sorted(free.node for free in folding.nodes_of(connection, number)) == ["n1", "n2", "n3"]
    assert rows(cluster, number) == 0
    cluster.stage.settle()
    assert cluster.said(number) == ENDED
    with reading(cluster.engine) as connection:
        info = jobs.info(connection, number)
        assert info and (dict(info.counts), info.state) == ({Outcome.OK: 3}, JobState.DONE)
        assert number in jobs.jobs_of_node(connection, "n3", 5)


def test_what_changes_anything_is_not_folded(cluster: Cluster) -> None:
    number = cluster.ask(SAME | {"n2": ("sn1,sn2", "other")}, fold=True)
    assert rows(cluster, number) == 3
    cluster.stage.settle()
    assert (cluster.said(number), cluster.file("sn2", "n2")) == (ENDED, "other")


def test_a_member_that_is_away_is_named_as_ever(cluster: Cluster) -> None:
    cluster.kill("sn2")
    number = cluster.ask(SAME, fold=True)
    cluster.stage.settle()
    assert cluster.said(number) == ENDED | {"n3": (Outcome.OK, "boot", "sn3")}
    assert {(sn, nodes) for sn, nodes, _ in cluster.behind(number)} == {("sn2", "n[1-3]")}


def test_nobody_is_there(cluster: Cluster) -> None:
    for name in ("sn1", "sn2"):
        cluster.kill(name)
    number = cluster.ask(SAME, fold=True)
    cluster.stage.settle()
    assert [outcome for outcome, _, _ in cluster.said(number).values()] == [
        Outcome.UNREACHED,
        Outcome.UNREACHED,
        Outcome.OK,
    ]


def test_who_missed_the_revision_gets_it_with_the_job(cluster: Cluster) -> None:
    cluster.kill("sn2")
    cluster.ask(SAME | {"n1": ("sn1,sn2", "new")})
    cluster.stage.settle()
    assert cluster.file("sn2", "n1") == "one"
    cluster.come_back("sn2")
    number = cluster.ask(SAME | {"n1": ("sn1,sn2", "new")}, fold=True)
    cluster.stage.settle()
    assert (cluster.said(number), cluster.file("sn2", "n1")) == (ENDED, "new")


def test_cancelled_before_anybody_took_it(cluster: Cluster) -> None:
    number = cluster.ask(SAME, fold=True)
    assert jobs.cancel(cluster.engine, number, "root", cluster.stage.wall()) == ["n1", "n2", "n3"]
    cluster.stage.settle()
    assert {outcome for outcome, _, _ in cluster.said(number).values()} == {Outcome.CANCELLED}
    with reading(cluster.engine) as connection:
        info = jobs.info(connection, number)
    assert info and info.state == JobState.DONE


def test_a_dead_supervisor_s_job_goes_on(cluster: Cluster) -> None:
    cluster.stage.sns["sn1"].consumes = False
    number = cluster.ask(SAME, fold=True)
    cluster.stage.turn(2)
    assert rows(cluster, number) == 0
    del cluster.stage.supervisors[0]
    cluster.stage.sns["sn1"].consumes = True
    cluster.stage.settle()
    assert cluster.said(number) == ENDED


def test_one_that_does_not_end_at_once_is_unfolded(cluster: Cluster) -> None:
    cluster.stage.sns["sn1"].consumes = False
    number = cluster.ask(SAME, fold=True)
    cluster.stage.turn(10)
    assert rows(cluster, number) == 3
    assert cluster.said(number) == {"n3": ENDED["n3"]}
    cluster.stage.sns["sn1"].consumes = True
    cluster.stage.settle()
    assert cluster.said(number) == ENDED
