"""How nodes end that no service node can do: nothing sent and something sent are never mixed up."""

import pytest

from core.states import Outcome
from routing import verdicts
from routing.planning import Tried
from routing.watched import UNSENT, Todo

CLEAN = Todo("n1", "sn1,sn2", (Tried("sn2", "BMC silent"),), None, "BmcSilent")
SENT = Todo("n1", "sn1,sn2", (Tried("sn2", "no answer"),), "on", "BmcSilent")


def test_the_reasons_stand_in_the_order_of_the_pool() -> None:
    ending = verdicts.exhausted(CLEAN, [Tried("sn1", "dead"), Tried("sn9", "odd")], ["sn1", "sn2"])
    assert ending.text == "sn1: dead; sn2: BMC silent; sn9: odd"
    assert (ending.outcome, ending.error) == (Outcome.UNREACHED, "BmcSilent")


@pytest.mark.parametrize("item", [CLEAN, SENT])
def test_unknown_means_that_something_left_and_only_that(item: Todo) -> None:
    endings = [
        verdicts.exhausted(item, [], ["sn1", "sn2"]),
        verdicts.hopeless(item, ("NoBmcAddress", "no address")),
        *verdicts.cancelled([item], "not started in time"),
    ]
    for ending in endings:
        assert (ending.outcome is Outcome.UNKNOWN) == (item.issued is not None)
        assert ("'on' was sent without an answer" in ending.text) == (item.issued is not None)


def test_a_node_that_nobody_was_there_for() -> None:
    ending = verdicts.exhausted(Todo("n1", "sn1", (), None, None), [Tried("sn1", "dead")], ["sn1"])
    assert (ending.outcome, ending.error, ending.text) == (Outcome.UNREACHED, "ServiceNodeLost", "sn1: dead")


def test_a_missed_beat_is_a_lost_service_node_to_people() -> None:
    ending = verdicts.exhausted(Todo("n1", "sn1", (Tried("sn1", "late"),), None, UNSENT), [], ["sn1"])
    assert ending.error == "ServiceNodeLost"


def test_a_hop_says_why() -> None:
    assert verdicts.hop_text([], [Todo("n1", "sn1", (), None, None)]) == ""
    assert verdicts.hop_text([Tried("sn1", "dead")], [CLEAN]) == "sn1 passed over: dead; sn2: BMC silent"
    many = verdicts.hop_text([], [CLEAN, CLEAN])
    assert many == "sn2 could not do 2: BMC silent"
