"""The gate between BMC drivers and the database: what is permitted, and what is told of each answer."""

from collections.abc import Collection

import pytest

from core.states import Outcome
from db.attempts import Claimed, Report
from drivers.bmc.contract import Reply, Verdict
from routing.held import MOST_UNKNOWN, Held
from routing.watched import UNSENT


class Talk:
    """What a batch was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []

    def permit(self, nodes: Collection[str]) -> None:
        self.told.append(("permit", sorted(nodes)))

    def refuse(self, nodes: Collection[str]) -> None:
        self.told.append(("refuse", sorted(nodes)))

    def abandon(self) -> None:
        self.told.append(("abandon", []))

    def wait_settled(self, timeout_s: float | None = None) -> bool:
        return True

    def wait_done(self, timeout_s: float | None = None) -> bool:
        return True


def held_for(*nodes: str) -> tuple[Held, Talk]:
    held = Held(Claimed(1, 1, "sn1", "", "", frozenset(nodes)), lambda: True, lambda: None)
    talk = Talk()
    held.batches.append(talk)
    return held, talk


def issue(held: Held, node: str, word: str) -> None:
    held.request(node, word)
    report = held.take()
    held.written(report, report.requests.keys())


def test_what_was_marked_is_permitted_and_the_rest_refused() -> None:
    held, talk = held_for("n1", "n2")
    held.request("n1", "reset")
    held.request("n2", "reset")
    report = held.take()
    assert report.requests == {"n1": "reset", "n2": "reset"}
    held.written(report, {"n1"})
    assert talk.told == [("permit", ["n1"]), ("refuse", ["n2"])]


def test_nothing_is_gathered_where_nothing_more_can_come() -> None:
    held, _ = held_for("n1", "n2")
    assert not held.complete
    held.request("n1", "reset")
    assert not held.complete
    held.reply(Reply("n2", Verdict.OK, "on"))
    assert held.complete, "n2 is answered, and n1 is silent until its mark is written"
    held.written(report := held.take(), report.requests)
    assert not held.complete, "n1 will answer"


def test_answers_to_reads_may_wait_for_others_and_marks_may_not() -> None:
    held, _ = held_for("n1", "n2", "n3")
    assert not held.urgent
    held.reply(Reply("n1", Verdict.OK, "on"))
    assert not held.urgent, "n2 and n3 answer soon"
    held.request("n2", "on")
    assert held.urgent, "n2 waits for its mark"
    held.written(report := held.take(), report.requests)
    assert held.urgent, "what n2 was told is durable as soon as it answers"
    held.reply(Reply("n2", Verdict.OK, "on"))
    held.written(held.take(), ())
    assert not held.urgent
    held.reply(Reply("n3", Verdict.OK, "on"))
    assert held.urgent, "nothing more comes"


def test_a_mark_that_nobody_confirmed_is_never_permitted() -> None:
    held, talk = held_for("n1")
    held.request("n1", "reset")
    held.unwritten(held.take())
    assert talk.told == [("refuse", ["n1"])]
    (hop,) = held.take().hops
    assert (hop.error, hop.sent) == (UNSENT, False)


def test_answers_that_were_not_written_are_told_again() -> None:
    held, _ = held_for("n1")
    held.reply(Reply("n1", Verdict.OK, "on"))
    report = held.take()
    assert not held.take()
    held.unwritten(report)
    assert held.take().finals == report.finals


@pytest.mark.parametrize(
    ("sent", "verdict", "outcome"),
    [
        ("reset", Verdict.OK, Outcome.OK),
        ("reset", Verdict.NODE, Outcome.ERROR),
        ("reset", Verdict.LOST, Outcome.UNKNOWN),
        ("on", Verdict.OK, Outcome.OK),
    ],
)
def test_final_answers(sent: str, verdict: Verdict, outcome: Outcome) -> None:
    held, _ = held_for("n1")
    issue(held, "n1", sent)
    held.reply(Reply("n1", verdict, "text", sent=sent))
    report = held.take()
    assert [final.outcome for final in report.finals] == [outcome]
    assert not report.hops


@pytest.mark.parametrize(
    ("sent", "verdict", "left"),
    [("on", Verdict.LOST, True), ("on", Verdict.WAY, False), ("reset", Verdict.WAY, False)],
)
def test_what_may_be_repeated_hops_and_says_whether_something_left(
    sent: str, verdict: Verdict, left: bool
) -> None:
    held, _ = held_for("n1")
    issue(held, "n1", sent)
    held.reply(Reply("n1", verdict, "text", sent=sent if left else ""))
    report = held.take()
    assert [(hop.error, hop.sent) for hop in report.hops] == [("BmcSilent", left)]
    assert not report.finals


def test_a_permitted_node_that_was_dropped_is_blameless() -> None:
    held, _ = held_for("n1")
    issue(held, "n1", "reset")
    held.reply(Reply("n1", Verdict.DROPPED, ""))
    (hop,) = held.take().hops
    assert (hop.error, hop.sent) == (UNSENT, False)


def test_only_the_first_answer_counts() -> None:
    held, _ = held_for("n1")
    held.reply(Reply("n1", Verdict.OK, "on"))
    held.reply(Reply("n1", Verdict.LOST, "", sent="reset"))
    assert [final.text for final in held.take().finals] == ["on"]
    held.reply(Reply("n9", Verdict.OK, "on"))
    assert held.idle


def test_few_non_repeatable_marks_are_in_flight_at_once() -> None:
    nodes = [f"n{i}" for i in range(MOST_UNKNOWN + 5)]
    held, _ = held_for(*nodes)
    for node in nodes:
        held.request(node, "reset")
    report = held.take()
    assert len(report.requests) == MOST_UNKNOWN
    held.written(report, report.requests.keys())
    assert not held.waiting
    held.reply(Reply(next(iter(report.requests)), Verdict.OK, "reset", sent="reset"))
    done = held.take()
    assert not done.requests
    held.written(done, ())
    assert len(held.take().requests) == 1


def test_slow_bmcs_make_room_only_while_others_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.held.SLOW_S", 0.0)
    nodes = [f"n{i}" for i in range(MOST_UNKNOWN + 5)]
    held, _ = held_for(*nodes)
    for node in nodes:
        held.request(node, "reset")
    report = held.take()
    held.written(report, report.requests.keys())
    assert not held.waiting
    held.reply(Reply(next(iter(report.requests)), Verdict.OK, "reset", sent="reset"))
    assert len(held.take().requests) == 5


def test_a_foreign_bmc_goes_to_the_other_driver_once() -> None:
    held, _ = held_for("n1")
    held.reply(Reply("n1", Verdict.FOREIGN, ""))
    assert held.waiting
    assert held.take_foreign() == ["n1"]
    assert held.take_foreign() == []
    assert not held.idle


def test_abandoned_it_still_tells_what_was_answered() -> None:
    held, talk = held_for("n1", "n2", "n3")
    held.reply(Reply("n1", Verdict.OK, "on"))
    held.reply(Reply("n2", Verdict.FOREIGN, ""))
    held.abandon()
    assert talk.told == [("abandon", [])]
    held.reply(Reply("n3", Verdict.FOREIGN, ""))
    assert held.take_foreign() == []
    assert [final.node for final in held.take().finals] == ["n1"]
    assert held.idle
    assert held.take() == Report()


def test_what_cannot_be_tried_here_is_an_error() -> None:
    held, _ = held_for("n1", "n2")
    held.fail(["n1", "n9"], "RequestError", "no address")
    assert [(final.node, final.outcome) for final in held.take().finals] == [("n1", Outcome.ERROR)]
