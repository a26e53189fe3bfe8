"""Which service node comes next for a node, and how many nodes go into one batch. Pure rules.

The members of a pool are taken left to right. A member that was tried or is not there is passed over, each
with its reason; a member of which nothing is known yet is waited for; a busy member is waited for too,
because order matters more than speed.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from routing.liveness import Kind, Liveness

#: Batches of one job are at least this large while there are nodes enough, and never larger than the second:
#: each one waits once for answers, and for who is silent in it.
BATCH_MIN = 250
BATCH_MAX = 1000
#: The first ones are smaller, so that every child of every service node has work soon.
FIRST_MAX = 500
#: Jobs up to this size are interactive work: they go to the small queue.
SMALL_JOB = 32


@dataclass(frozen=True, slots=True)
class Tried:
    """One service node that could not do it."""

    sn: str
    reason: str

    def __str__(self) -> str:
        """`sn1: BMC silent`; a reason that names the service node already stands alone."""
        return self.reason if self.reason.startswith(f"{self.sn} ") else f"{self.sn}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The next service node, or None; then `wait` says whether one may come. `absent` were passed over."""

    member: str | None
    wait: bool
    absent: tuple[Tried, ...]


def choose(pool: Sequence[str], tried: Collection[str], standing: Callable[[str], Liveness]) -> Choice:
    """The first member of the pool, left to right, that was not tried and is live."""
    absent: list[Tried] = []
    for name in pool:
        if name in tried:
            continue
        found = standing(name)
        if found.kind is Kind.LIVE:
            return Choice(name, wait=False, absent=tuple(absent))
        if found.kind is Kind.UNKNOWN:
            return Choice(None, wait=True, absent=tuple(absent))
        absent.append(Tried(name, found.reason))
    return Choice(None, wait=False, absent=tuple(absent))


def batch_size(nodes: int, children: int, given: int) -> int:
    """How many of `nodes` go into the next attempt on a service node that was given so many of the job."""
    even = -(-nodes // max(children, 1))
    most = FIRST_MAX if given < children else BATCH_MAX
    return max(1, min(max(even, BATCH_MIN), most, nodes))


def queue_of(sn: str, job_size: int) -> str:
    """The queue of a service node for a job of this size."""
    return sn if job_size <= SMALL_JOB else f"{sn}.bulk"


def read_tried(text: str) -> tuple[Tried, ...]:
    """The service nodes tried so far, as job_node.tried holds them."""
    return tuple(Tried(sn, reason) for sn, reason in json.loads(text)) if text else ()


def write_tried(tried: Sequence[Tried]) -> str:
    """The text for job_node.tried."""
    return json.dumps([[one.sn, one.reason] for one in tried]) if tried else ""


def explain(passed: Sequence[Tried]) -> str:
    """One line: every service node with why it could not do it."""
    if not passed:
        return "no service node serves it"
    return "; ".join(str(one) for one in passed)
