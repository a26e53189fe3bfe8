"""How nodes end that no service node can do (any more): outcome and sentence. Pure rules."""

from collections.abc import Iterable, Sequence

from core.states import Outcome
from db.supervision import Ending
from routing.planning import Tried, explain
from routing.watched import UNSENT, Todo


def exhausted(item: Todo, absent: Sequence[Tried], order: Sequence[str]) -> Ending:
    """Every member of the pool was tried or is not there; the sentence names each, in the pool's `order`."""
    passed = [*item.tried, *absent]
    passed.sort(key=lambda one: order.index(one.sn) if one.sn in order else len(order))
    text = explain(passed)
    if item.issued:
        return Ending(
            item.node, Outcome.UNKNOWN, f"'{item.issued}' was sent without an answer; {text}", item.error
        )
    blame = item.error if item.error not in (None, UNSENT) else "ServiceNodeLost"
    return Ending(item.node, Outcome.UNREACHED, text, blame)


def hopeless(item: Todo, failure: tuple[str, str]) -> Ending:
    """The tables do not say how to reach the node's BMC; `failure` is error class and sentence."""
    error, text = failure
    if item.issued:
        return Ending(
            item.node, Outcome.UNKNOWN, f"'{item.issued}' was sent without an answer; {text}", error
        )
    return Ending(item.node, Outcome.ERROR, text, error)


def cancelled(items: Iterable[Todo], text: str) -> list[Ending]:
    """Nodes of a job that is cancelled; where a command left earlier nobody can prove what it did."""
    return [
        Ending(item.node, Outcome.UNKNOWN, f"'{item.issued}' was sent without an answer; {text}", item.error)
        if item.issued
        else Ending(item.node, Outcome.CANCELLED, text)
        for item in items
    ]


def hop_text(absent: Sequence[Tried], items: Sequence[Todo]) -> str:
    """Why these nodes do not go to the first member of their pool; empty when they do."""
    reasons = [f"{one.sn} passed over: {one.reason}" for one in absent]
    for sn in dict.fromkeys(one.sn for item in items for one in item.tried):
        told = next(one.reason for item in items for one in item.tried if one.sn == sn)
        number = sum(1 for item in items if any(one.sn == sn for one in item.tried))
        reasons.append(f"{sn} could not do {number}: {told}" if number > 1 else f"{sn}: {told}")
    return "; ".join(reasons)
