"""One attempt in the hands of a service node: what was asked, permitted, answered, and not yet written.

`Held` is the gate of the BMC drivers. Their threads put requests and replies in; the agent's writer takes
them out as reports. It decides nothing about the database.
"""

import threading
import time
from collections.abc import Callable, Collection

from core.power import may_repeat
from core.states import Outcome
from db.attempts import Claimed, Final, Hop, Report
from drivers.bmc.contract import Batch, Reply, Verdict
from routing.watched import UNSENT

#: A killed process leaves at most so many nodes unknown: marks without a written answer.
MOST_UNKNOWN = 64
#: A BMC that has not answered for so long, while others did, holds no place among them.
SLOW_S = 1.0
#: Marks of repeatable commands in one transaction.
MOST_MARKS = 256


class Held:
    """One claimed attempt. Gate of its drivers and inbox of its writer; safe for several threads."""

    def __init__(self, claimed: Claimed, may_send: Callable[[], bool], notify: Callable[[], None]) -> None:
        self.claimed = claimed
        self.batches: list[Batch] = []
        self._may_send = may_send
        self._notify = notify
        self._lock = threading.Lock()
        self._finals: list[Final] = []
        self._hops: list[Hop] = []
        self._requests: dict[str, str] = {}
        self._permitted: dict[str, float] = {}
        #: When a BMC last did what it was told, or said that it will not.
        self._heard = float("-inf")
        self._open: set[str] = set(claimed.nodes)
        self._foreign: list[str] = []
        self.ok = 0
        #: The attempt is no longer ours; only what the BMCs answered is still told.
        self.dropped = False

    # -- the drivers' side: contract.Gate and on_reply ---------------------------------------------

    def request(self, node: str, sends: str) -> None:
        """A node is ready; its mark is written with the next report."""
        with self._lock:
            self._requests[node] = sends
        self._notify()

    def may_send(self, node: str) -> bool:
        """The look at the clock directly before the datagram."""
        return self._may_send()

    def reply(self, answer: Reply) -> None:
        """A driver's one answer for one node."""
        with self._lock:
            if answer.node not in self._open:
                return
            self._requests.pop(answer.node, None)
            if answer.verdict in (Verdict.OK, Verdict.NODE):
                self._heard = time.monotonic()
            if answer.verdict is Verdict.FOREIGN and not self.dropped:
                self._foreign.append(answer.node)
            else:
                self._settle(answer)
        self._notify()

    def _settle(self, answer: Reply) -> None:
        self._open.discard(answer.node)
        sn = self.claimed.sn
        match answer.verdict:
            case Verdict.OK:
                self.ok += 1
                self._finals.append(Final(answer.node, Outcome.OK, answer.text))
            case Verdict.NODE:
                self._finals.append(Final(answer.node, Outcome.ERROR, answer.text, answer.error))
            case Verdict.LOST if not may_repeat(answer.sent):
                text = f"'{answer.sent}' was sent by {sn} and not answered: {answer.text}"
                self._finals.append(Final(answer.node, Outcome.UNKNOWN, text, answer.error))
            case Verdict.WAY | Verdict.LOST:
                sent = answer.verdict is Verdict.LOST
                self._hops.append(Hop(answer.node, answer.text, answer.error or "BmcSilent", sent))
            case Verdict.DROPPED if answer.node in self._permitted:
                text = f"{sn} missed its beat and sent nothing"
                self._hops.append(Hop(answer.node, text, UNSENT, sent=False))
            case _:
                self._permitted.pop(answer.node, None)

    # -- the writer's side -------------------------------------------------------------------------

    def take(self) -> Report:
        """What is to be written next; marks only as far as MOST_UNKNOWN allows."""
        with self._lock:
            report = Report(self._finals, self._hops, self._affordable())
            self._finals, self._hops = [], []
            for node in report.requests:
                del self._requests[node]
            report.last = bool(report) and not self._open
            return report

    def _affordable(self) -> dict[str, str]:
        # Where nobody answers any more the way is gone, and more marks would only be more unknowns.
        slow = min(time.monotonic() - SLOW_S, self._heard)
        room = MOST_UNKNOWN - sum(1 for since in self._permitted.values() if since > slow)
        chosen: dict[str, str] = {}
        for node, sends in self._requests.items():
            if len(chosen) >= MOST_MARKS:
                break
            if not may_repeat(sends):
                if room <= 0:
                    continue
                room -= 1
            chosen[node] = sends
        return chosen

    def written(self, report: Report, issued: Collection[str]) -> None:
        """The report is durable: send what was marked, refuse what was not, forget what is answered."""
        refused = [node for node in report.requests if node not in issued]
        now = time.monotonic()
        with self._lock:
            for node in issued:
                if not may_repeat(report.requests[node]):
                    self._permitted[node] = now
            self._permitted.update({node: now for node in issued if node not in self._permitted})
            for node in [f.node for f in report.finals] + [h.node for h in report.hops]:
                self._permitted.pop(node, None)
        for batch in self.batches:
            if issued:
                batch.permit(issued)
            if refused:
                batch.refuse(refused)

    def unwritten(self, report: Report) -> None:
        """Nobody knows whether the report was written: keep the answers, and send none of the marks."""
        text = f"{self.claimed.sn} could not confirm the mark in the database and sent nothing"
        with self._lock:
            self._finals = report.finals + self._finals
            self._hops = report.hops + self._hops
            for node in report.requests:
                if node in self._open:
                    self._open.discard(node)
                    self._hops.append(Hop(node, text, UNSENT, sent=False))
        for batch in self.batches:
            if report.requests:
                batch.refuse(list(report.requests))

    def take_foreign(self) -> list[str]:
        """Nodes that the engine does not understand, for another driver."""
        with self._lock:
            nodes, self._foreign = self._foreign, []
            return nodes

    @property
    def complete(self) -> bool:
        """Whether nothing more can come before something is written: each open node waits for its mark."""
        with self._lock:
            return len(self._requests) >= len(self._open)

    @property
    def urgent(self) -> bool:
        """Whether a node waits for what is written next, or nothing more comes after it."""
        with self._lock:
            if self._requests or self._permitted or self._foreign:
                return True
            return bool(self._finals or self._hops) and not self._open

    @property
    def idle(self) -> bool:
        """Whether every node has its answer and every answer was taken."""
        with self._lock:
            return not (self._open or self._finals or self._hops or self._requests)

    @property
    def waiting(self) -> bool:
        """Whether there is something to write now."""
        with self._lock:
            return bool(self._finals or self._hops or self._foreign or self._affordable())

    def fail(self, nodes: Collection[str], error: str, text: str) -> None:
        """These nodes cannot be tried here at all; final."""
        with self._lock:
            for node in nodes:
                if node in self._open:
                    self._open.discard(node)
                    self._finals.append(Final(node, Outcome.ERROR, text, error))
        self._notify()

    def abandon(self) -> None:
        """The attempt is no longer ours: nothing more leaves."""
        with self._lock:
            self.dropped = True
            self._open.difference_update(self._foreign)
            self._foreign.clear()
        for batch in self.batches:
            batch.abandon()
