"""The supervisor against service nodes that die, freeze and return; each was a bug or nearly one."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select, update
from stage import Stage

from core.jobspec import Pace
from core.power import Action
from db import events, jobs, supervision
from db.engine import open_engine, reading, writing
from db.jobtables import attempt, event, job, job_node


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    made = Stage(open_engine(database_url))
    made.turn(4)
    yield made
    made.check()


def kinds(stage: Stage, number: int) -> list[str]:
    with reading(stage.engine) as connection:
        return [line.kind for line in events.of_job(connection, number)]


def epoch(stage: Stage, number: int) -> int:
    with reading(stage.engine) as connection:
        return connection.scalars(select(job.c.epoch).where(job.c.id == number)).one()


def test_a_job_is_done(stage: Stage) -> None:
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2", "n2": "sn2,sn1", "n3": "mn1"})
    stage.bmcs.powered.update(n1=True, n2=True, n3=True)
    assert stage.settle() < 10
    assert {stage.outcome(number, node) for node in ("n1", "n2", "n3")} == {"ok"}
    assert stage.ended == [number]
    assert [(one.node, one.sn) for one in sorted(stage.bmcs.log, key=lambda one: one.node)] == [
        ("n1", "sn1"),
        ("n2", "sn2"),
        ("n3", "mn1"),
    ]


def test_a_job_is_adopted_once(stage: Stage) -> None:
    stage.sns["sn1"].frozen = True
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.turn(4)
    assert epoch(stage, number) == 1
    assert "adopt" not in kinds(stage, number)


@pytest.mark.parametrize("looks", range(4))
def test_two_supervisors_do_not_adopt_the_same_job(stage: Stage, looks: int) -> None:
    """The second one takes its whole step while the first is in the middle of its own."""
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.meanwhile = [*[lambda: None] * looks, lambda: stage.step(1)]
    stage.step(0)
    stage.meanwhile = []
    assert epoch(stage, number) == 1
    assert len({parcel.attempt for parcel in stage.broker}) == 1


def test_a_dead_supervisor_s_jobs_are_adopted(stage: Stage) -> None:
    number = stage.submit(Action.STAT, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.broker.clear()
    del stage.supervisors[0]
    stage.settle(40)
    assert stage.outcome(number) == "ok"
    assert kinds(stage, number).count("adopt") == 1


def test_who_lost_a_job_writes_nothing_more(stage: Stage) -> None:
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.step(0)
    with reading(stage.engine) as connection:
        (row,) = supervision.active_jobs(connection)
    with writing(stage.engine) as connection:
        assert supervision.adopt(connection, row, "other") == row.epoch + 1
        assert supervision.adopt(connection, row, "third") is None
        assert not supervision.hold(connection, number, row.epoch)
        assert supervision.hold(connection, number, row.epoch + 1)
    stage.settle(40)


def test_a_queue_that_nobody_works_on_fails_over(stage: Stage) -> None:
    """The lease is there and the worker is not: it was published again and again."""
    number = stage.submit(Action.STAT, {"n1": "sn1,sn2"})
    stage.sns["sn1"].consumes = False
    stage.turn(60)
    assert stage.outcome(number) == "ok"


def test_what_came_and_went_between_two_looks_has_started(stage: Stage) -> None:
    """`cancelled: not started in time` for a node to which `on` had been sent."""
    stage.bmcs.mute.add(("sn1", "n1"))
    number = stage.submit(Action.ON, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.deliver_all()
    for _ in range(40):  # all supervisors are away while sn1 works
        stage.now += 0.25
        stage.sns["sn1"].run()
    assert stage.executed(number) == ["on"]
    stage.now += 100
    stage.settle()
    assert stage.outcome(number) == "ok"


def test_a_job_that_nobody_can_start_is_cancelled_in_time(stage: Stage) -> None:
    """Redis is away for longer than site.jobstart: a power command must not run whenever it returns."""
    number = stage.submit(Action.OFF, {"n1": "sn1"})
    stage.redis = False
    stage.turn(270)
    assert stage.outcome(number) == "cancelled"


def test_a_pool_may_name_its_members_in_another_way(stage: Stage) -> None:
    """The same silent service node was tried for ever, because its own name is not the pool's."""
    stage.bmcs.silent.add(("sn1", "n1"))
    number = stage.submit(Action.STAT, {"n1": "sn1.cluster"})
    stage._seen.update(range(100))  # the stage knows no aliases
    stage.turn(40)
    assert stage.outcome(number) == "unreached"


def test_a_job_that_cannot_be_read_holds_up_no_other(stage: Stage) -> None:
    broken = stage.submit(Action.STAT, {"n1": "sn1"}, spec="{}")
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.settle(20)
    assert stage.outcome(broken) == "error"
    assert stage.outcome(number) == "ok"


def work_until(stage: Stage, name: str, when: Callable[[], object]) -> None:
    for place in range(300):
        if when():
            return
        stage.sns[name].micro(place)
    raise AssertionError(f"{name} never came there")


def test_a_mark_that_was_not_used_leaves_no_trace(stage: Stage) -> None:
    """The BMC fell silent while the mark was written: nothing left, so the node is not `unknown` later."""
    stage.bmcs.powered["n1"] = True
    number = stage.submit(Action.RESET, {"n1": "sn1"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: any(held.waiting for held in sn.works.values()))
    stage.bmcs.silent.add(("sn1", "n1"))
    talk = sn.talks[max(sn.talks)]
    work_until(stage, "sn1", lambda: talk.step("n1") or stage.rows()[number, "n1"][2] == "reset")
    stage.now += 3.0
    talk.step("n1")
    assert not talk.steps
    for _ in range(8):
        sn.run()
    assert stage.rows()[number, "n1"][:3] == ("hopped", None, None)
    stage.cancel(number)
    assert stage.outcome(number) == "cancelled"


def test_an_unused_mark_gives_back_the_one_before(stage: Stage) -> None:
    """boot: sn1 sent `on`; sn2 marked `reset` and sent nothing. That `on` left must not be forgotten."""
    stage.bmcs.mute.add(("sn1", "n1"))
    stage.sns["sn2"].consumes = False
    number = stage.submit(Action.BOOT, {"n1": "sn1,sn2"})
    stage.turn(20)
    assert stage.executed(number) == ["on"]
    sn = stage.sns["sn2"]
    sn.consumes = True
    stage.deliver_all()
    work_until(stage, "sn2", lambda: sn.works)
    sn.blind = True
    work_until(stage, "sn2", lambda: stage.rows()[number, "n1"][2] == "reset")
    work_until(stage, "sn2", lambda: stage.rows()[number, "n1"][0] == "hopped")
    stage.cancel(number)
    assert stage.executed(number) == ["on"]
    assert stage.outcome(number) == "unknown"


@pytest.mark.parametrize("looks", range(5))
def test_a_beat_between_the_look_and_the_fence_saves_the_attempt(stage: Stage, looks: int) -> None:
    """It was silent for a life and came back while the supervisor was acting on what it had read."""
    stage.bmcs.powered["n1"] = True
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: stage.rows()[number, "n1"][2] == "reset")
    sn.frozen = True
    stage.turn(12)
    sn.frozen = False
    stage.now += 0.25

    def beat() -> None:
        while sn.last_beat < stage.now or sn.beater:
            sn._beat_step()

    stage.meanwhile = [*[lambda: None] * looks, beat]
    stage.step(0)
    alive = stage.rows()[number, "n1"][0] == "issued"
    for _ in range(4):
        sn.run()
    stage.settle()
    assert stage.outcome(number) == ("ok" if alive else "unknown")
    assert alive == bool(stage.executed(number))


def test_a_thawed_service_node_sends_nothing(stage: Stage) -> None:
    """Marked, permitted, frozen before the look at the clock: the node is `unknown`, and nothing leaves."""
    stage.bmcs.powered["n1"] = True
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: any(talk.allowed for talk in sn.talks.values()))
    sn.frozen = True
    stage.settle()
    sn.frozen = False
    for _ in range(4):
        sn.run()
    assert (stage.outcome(number), stage.executed(number)) == ("unknown", [])


def test_cancel_leaves_what_was_issued(stage: Stage) -> None:
    stage.bmcs.powered.update(n1=True)
    stage.bmcs.mute.add(("sn1", "n1"))
    stage.bmcs.silent.add(("sn1", "n2"))
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2", "n2": "sn1,sn2"})
    stage.turn(6)
    stage.cancel(number)
    stage.settle()
    assert (stage.outcome(number), stage.outcome(number, "n2")) == ("unknown", "cancelled")


def test_cancel_between_the_mark_and_the_command_comes_too_late(stage: Stage) -> None:
    stage.bmcs.powered["n1"] = True
    number = stage.submit(Action.RESET, {"n1": "sn1"})
    stage.step(0)
    stage.deliver_all()
    work_until(stage, "sn1", lambda: stage.rows()[number, "n1"][2] == "reset")
    stage.cancel(number)
    newer = stage.submit(Action.OFF, {"n1": "sn2"}, supersede=True)
    stage.settle()
    assert (stage.outcome(number), stage.outcome(newer)) == ("ok", "ok")
    assert [one.word for one in stage.bmcs.log] == ["reset", "off"]


def test_cancel_before_the_mark_is_in_time(stage: Stage) -> None:
    """The job goes on for another node, so its attempt still lives when the mark is asked for."""
    stage.bmcs.powered["n1"] = True
    stage.bmcs.silent.add(("sn1", "n2"))
    number = stage.submit(Action.RESET, {"n1": "sn1", "n2": "sn1"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: any(held.waiting for held in sn.works.values()))
    newer = stage.submit(Action.OFF, {"n1": "sn2"}, supersede=True)
    sn.run()
    stage.check()
    stage.settle()
    assert (stage.outcome(number), stage.executed(number)) == ("cancelled", [])
    assert (stage.outcome(number, "n2"), stage.outcome(newer)) == ("unreached", "ok")


def test_an_answer_after_the_cancel_changes_no_outcome(stage: Stage) -> None:
    stage.bmcs.powered["n1"] = True
    stage.bmcs.silent.add(("sn1", "n2"))
    number = stage.submit(Action.ON, {"n1": "sn1", "n2": "sn1"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: any(held.waiting for held in sn.works.values()))
    stage.submit(Action.OFF, {"n1": "sn2"}, supersede=True)
    stage.check()
    sn.run()
    stage.check()
    assert stage.outcome(number) == "cancelled"
    assert "late" in kinds(stage, number)
    stage.settle()


def test_a_newer_job_waits_until_the_older_one_s_service_node_is_silent(stage: Stage) -> None:
    stage.bmcs.powered["n1"] = True
    older = stage.submit(Action.RESET, {"n1": "sn1"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    work_until(stage, "sn1", lambda: any(talk.allowed for talk in sn.talks.values()))
    sn.frozen = True
    newer = stage.submit(Action.OFF, {"n1": "sn2"})
    stage.turn(8)
    assert stage.executed(newer) == []
    stage.settle()
    sn.frozen = False
    sn.run()
    assert (stage.outcome(older), stage.outcome(newer)) == ("unknown", "ok")


def test_a_late_answer_is_an_event(stage: Stage) -> None:
    stage.bmcs.powered["n1"] = True
    number = stage.submit(Action.RESET, {"n1": "sn1,sn2"})
    stage.step(0)
    stage.deliver_all()
    sn = stage.sns["sn1"]
    while not stage.bmcs.log:
        sn.run(1)
    sn.frozen = True
    stage.settle()
    assert stage.outcome(number) == "unknown"
    sn.frozen = False
    stage.turn(4)
    assert "late" in kinds(stage, number)
    assert stage.executed(number) == ["reset"]


def test_an_outage_of_the_database_for_all_ends_nothing(stage: Stage) -> None:
    """The leases said `cannot reach the database` for a moment longer than the management node lost it."""
    number = stage.submit(Action.STAT, {"n1": "sn1,sn2"})
    for sn in stage.sns.values():
        sn.database = False
    for _ in range(20):
        stage.now += 0.25
        for name in stage.sns:
            stage.beat_lease(name)
    stage.turn(6)
    assert stage.outcome(number) is None
    stage.heal()
    stage.settle()
    assert stage.outcome(number) == "ok"


def test_pacing_is_kept(stage: Stage) -> None:
    pace = Pace(10.0, 2)
    number = stage.submit(Action.ON, {f"n{i}": "sn1" for i in range(5)}, pace=pace)
    stage.turn(12)
    assert len(stage.bmcs.log) == 2
    stage.settle(120)
    assert len(stage.bmcs.log) == 5
    assert stage.outcome(number, "n4") == "ok"


def test_a_request_asked_twice_is_one_job(stage: Stage) -> None:
    asked = [stage.submit(Action.STAT, {"n1": "sn1"}, request="same") for _ in range(2)]
    assert asked[0] == asked[1]
    with reading(stage.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(job_node)) == 1


def test_supersede_ends_what_was_not_issued(stage: Stage) -> None:
    stage.sns["sn1"].frozen = True
    old = stage.submit(Action.OFF, {"n1": "sn1", "n2": "sn1"})
    stage.turn(2)
    new = stage.submit(Action.ON, {"n1": "sn2"}, supersede=True)
    stage.turn(8)
    assert (stage.outcome(old), stage.outcome(new)) == ("cancelled", "ok")
    assert stage.outcome(old, "n2") is None
    stage.heal()
    stage.settle()


def test_old_jobs_are_pruned_whole(stage: Stage) -> None:
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.settle()
    assert jobs.prune(stage.engine, stage.wall() + 1) == 1
    with reading(stage.engine) as connection:
        for table in (job, job_node, attempt, event):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
    assert number


def test_an_attempt_that_ends_unused_is_not_published(stage: Stage) -> None:
    number = stage.submit(Action.STAT, {"n1": "sn1"})
    stage.cancel(number)
    stage.turn(2)
    with writing(stage.engine) as connection:
        open_ones = connection.execute(select(attempt.c.id).where(attempt.c.ended.is_(None))).all()
        connection.execute(update(job).where(job.c.id == number).values(label="over"))
    assert (open_ones, stage.broker, stage.active()) == ([], [], [])
