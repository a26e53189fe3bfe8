"""Jobs that every member of a pool does: real supervisors on a virtual clock, real syncers, real files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from spread_rig import Cluster
from sqlalchemy import select, update

from core.states import Outcome
from core.wanted import Kind
from db import jobs, wanted
from db.engine import one_writer, reading, writing
from db.jobtables import attempt, job
from db.wanted import Kept
from db.wantedtables import kept
from routing.means import Parcel
from routing.spread import SpreadAsk, new_job


@pytest.fixture
def cluster(database_url: str, tmp_path: Path) -> Iterator[Cluster]:
    yield Cluster(database_url, tmp_path)


def test_every_member_of_the_pool_gets_it(cluster: Cluster) -> None:
    number = cluster.ask({"n1": ("sn1,sn2", "one"), "n2": ("sn2,sn3", "two"), "n3": ("mn1", "three")})
    cluster.stage.settle()
    assert cluster.said(number) == {
        "n1": (Outcome.OK, "boot", "sn1"),
        "n2": (Outcome.OK, "boot", "sn2"),
        "n3": (Outcome.OK, "boot", "mn1"),
    }
    assert cluster.file("sn1", "n1") == cluster.file("sn2", "n1") == "one"
    assert cluster.file("sn3", "n2") == "two" and cluster.file("sn3", "n1") is None
    assert not cluster.behind(number)


def test_a_dead_member_is_named_and_catches_up(cluster: Cluster) -> None:
    cluster.kill("sn1")
    number = cluster.ask({"n1": ("sn1,sn2", "one"), "n2": ("sn1,sn2", "two")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn2")
    ((sn, nodes, message),) = cluster.behind(number)
    assert (sn, nodes) == ("sn1", "n[1-2]") and "no sign of life" in message
    cluster.come_back("sn1")
    cluster.stage.turn(30)
    assert (cluster.file("sn1", "n1"), cluster.file("sn1", "n2")) == ("one", "two")
    with reading(cluster.engine) as connection:
        caught = connection.scalars(select(job.c.label).where(job.c.who == "serval")).all()
    assert caught == ["nodeset sn1 catch-up"]


def test_a_member_that_is_just_coming_back_is_waited_for(cluster: Cluster) -> None:
    cluster.kill("sn1")
    cluster.come_back("sn1")
    cluster.stage.turn(3)
    assert cluster.stage.supervisors[0].observer.state("sn1").returning
    number = cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn1")
    assert cluster.file("sn1", "n1") == "one" and not cluster.behind(number)


def test_a_member_that_falls_silent_again_is_waited_for_no_longer(cluster: Cluster) -> None:
    cluster.kill("sn1")
    cluster.come_back("sn1")
    cluster.stage.turn(3)
    cluster.stage.sns["sn1"].alive = False
    number = cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn2")
    ((sn, _, message),) = cluster.behind(number)
    assert sn == "sn1" and "no sign of life" in message


def test_who_lost_its_files_gets_them_again(cluster: Cluster) -> None:
    cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    cluster.kill("sn1")
    for file in cluster.folders["sn1"].iterdir():
        if file.is_file():
            file.unlink()
    cluster.come_back("sn1")
    cluster.stage.turn(30)
    assert cluster.file("sn1", "n1") == "one"


def test_nobody_is_there(cluster: Cluster) -> None:
    cluster.kill("sn1")
    cluster.kill("sn2")
    number = cluster.ask({"n1": ("sn1,sn2", "one"), "n2": ("sn1,sn3", "two")})
    cluster.stage.settle()
    outcome, text, _ = cluster.said(number)["n1"]
    assert outcome == Outcome.UNREACHED and "sn1" in text and "sn2" in text
    assert cluster.said(number)["n2"] == (Outcome.OK, "boot", "sn3")


def test_a_member_killed_in_the_middle_is_left_behind(cluster: Cluster) -> None:
    cluster.stage.sns["sn1"].consumes = False
    number = cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.turn(3)
    cluster.kill("sn1")
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn2")
    assert cluster.behind(number)[0][0] == "sn1"


def test_problems_are_told_by_node_and_tried_again(cluster: Cluster) -> None:
    number = cluster.ask({"n1": ("sn1", "bad"), "n2": ("sn1", "good")})
    cluster.stage.settle()
    outcome, text, _ = cluster.said(number)["n1"]
    assert outcome == Outcome.ERROR and "line 3" in text and "sn1" in text
    assert cluster.said(number)["n2"] == (Outcome.OK, "boot", "sn1")
    number = cluster.ask({"n1": ("sn1", "mended")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"][0] == Outcome.OK and cluster.file("sn1", "n1") == "mended"


def test_a_full_disk_is_everybody_s_problem_there(cluster: Cluster) -> None:
    (cluster.folders["sn1"] / "full").touch()
    number = cluster.ask({"n1": ("sn1,sn2", "one"), "n2": ("sn1", "two")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn2")
    assert cluster.said(number)["n2"][0] == Outcome.ERROR and "No space left" in cluster.said(number)["n2"][1]
    assert "No space left" in cluster.behind(number)[0][2]


def test_who_is_no_member_any_more_removes_it(cluster: Cluster) -> None:
    cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    cluster.ask({"n1": ("sn2,sn3", "one")})
    cluster.stage.turn(40)
    assert cluster.file("sn1", "n1") is None
    assert cluster.file("sn3", "n1") == "one"
    cluster.ask({"n1": ("", "")})
    cluster.stage.turn(40)
    assert cluster.file("sn2", "n1") is None


def test_equal_documents_are_not_written_again(cluster: Cluster) -> None:
    cluster.ask({"n1": ("sn1,sn2", "one")})
    with writing(cluster.engine) as connection:
        one_writer(connection)
        before = wanted.last(connection, Kind.BOOT)
        same = wanted.put(connection, Kind.BOOT, {"n1": (("sn1", "sn2"), "one")})
        assert (same.changed, same.revision) == (frozenset(), before)
        other = wanted.put(connection, Kind.BOOT, {"n1": (("sn2", "sn1"), "one"), "n2": (("sn1",), "x")})
        assert (other.changed, other.revision) == ({"n1", "n2"}, before + 1)
        assert wanted.documents(connection, Kind.BOOT, ["n1", "n2", "n3"]) == {"n1": "one", "n2": "x"}


def test_a_drained_member_keeps_its_files_current(cluster: Cluster) -> None:
    cluster.stage.drain("sn1")
    cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    assert cluster.file("sn1", "n1") == "one"


def test_one_job_waits_for_the_older_one_by_node(cluster: Cluster) -> None:
    cluster.stage.sns["sn1"].consumes = False
    first = cluster.ask({"n1": ("sn1", "one")})
    second = cluster.ask({"n1": ("sn1", "two"), "n2": ("sn2", "other")})
    cluster.stage.turn(4)
    assert "n2" in cluster.said(second) and "n1" not in cluster.said(second)
    cluster.stage.sns["sn1"].consumes = True
    cluster.stage.settle()
    assert cluster.said(first)["n1"][0] == cluster.said(second)["n1"][0] == Outcome.OK
    assert cluster.file("sn1", "n1") == "two"


def test_a_dead_supervisor_s_spread_goes_on(cluster: Cluster) -> None:
    cluster.stage.sns["sn1"].consumes = False
    number = cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.turn(2)
    del cluster.stage.supervisors[0]
    cluster.stage.sns["sn1"].consumes = True
    cluster.stage.settle()
    assert cluster.said(number)["n1"][0] == Outcome.OK
    with reading(cluster.engine) as connection:
        assert len(connection.scalars(select(attempt.c.id).where(attempt.c.job_id == number)).all()) == 2


@pytest.mark.parametrize("answer", ["{", "[]", '{"problems": {"n1": 7}, "texts": {}}', '{"more": {}}'])
def test_an_answer_that_cannot_be_read_is_no_answer(cluster: Cluster, answer: str) -> None:
    """A service node's role may write what it likes; neither the job nor the supervisor hangs on it."""
    engine = cluster.engine

    def lie(parcel: Parcel) -> None:
        with writing(engine) as connection:
            done = {"claimed": 1.0, "ended": 1.0, "result": answer}
            connection.execute(update(attempt).where(attempt.c.id == parcel.attempt).values(done))
            wanted.keep(connection, Kind.BOOT, "sn1", 1.0, Kept(10**6))
            connection.execute(update(kept).values(problems=answer))

    cluster.stage.sns["sn1"].take = lie  # type: ignore[method-assign]
    number = cluster.ask({"n1": ("sn1,sn2", "one"), "n2": ("sn1", "two")})
    cluster.stage.settle()
    assert cluster.said(number)["n1"] == (Outcome.OK, "boot", "sn2")
    assert cluster.said(number)["n2"][0] == Outcome.ERROR
    assert "cannot be read" in cluster.said(number)["n2"][1]


def test_a_long_build_does_not_hold_up_catching_up(cluster: Cluster) -> None:
    cluster.kill("sn1")
    cluster.ask({"n1": ("sn1,sn2", "one")})
    cluster.stage.settle()
    cluster.stage.sns["mn1"].take = lambda parcel: None  # type: ignore[method-assign]
    build = SpreadAsk("b", "genimage", "genimage x", "root", ("genimage",), {"mn1": ("mn1",)}, changing=False)
    jobs.submit(cluster.engine, new_job(build), cluster.stage.wall())
    cluster.come_back("sn1")
    cluster.stage.turn(30)
    assert cluster.file("sn1", "n1") == "one"
