"""A gate that records, and one call that runs a batch to its end; for the tests of the BMC drivers."""

import threading
from collections import Counter
from collections.abc import Collection, Sequence

from drivers.bmc.contract import Batch, Command, Driver, Reply, Target, Timing

QUICK = Timing(timeout_s=0.4, retries=3)
PATIENT = Timing(timeout_s=1.0, retries=10)


class RecordingGate:
    """Permits or refuses every request at once, or keeps it; counts everything it is asked."""

    def __init__(self, answer: str = "permit", may_send: bool = True) -> None:
        self.answer, self.looks_say = answer, may_send
        self.requests: Counter[tuple[str, str]] = Counter()
        self.looks: Counter[str] = Counter()
        self.asked = threading.Event()
        self._lock = threading.Lock()
        self._early: list[str] = []
        self._batch: Batch | None = None

    def request(self, node: str, sends: str) -> None:
        """Record, and answer as soon as the batch is known."""
        with self._lock:
            self.requests[node, sends] += 1
            self.asked.set()
            if self._batch is None:
                self._early.append(node)
                return
        self._reply([node])

    def may_send(self, node: str) -> bool:
        """Record the look."""
        self.looks[node] += 1
        return self.looks_say

    def attach(self, batch: Batch) -> None:
        """Tell which batch to answer."""
        with self._lock:
            self._batch = batch
            early, self._early = self._early, []
        self._reply(early)

    def _reply(self, nodes: Collection[str]) -> None:
        assert self._batch is not None
        if self.answer == "permit":
            self._batch.permit(nodes)
        elif self.answer == "refuse":
            self._batch.refuse(nodes)


def start(
    driver: Driver, command: Command, targets: Sequence[Target], timing: Timing, gate: RecordingGate
) -> tuple[Batch, list[Reply]]:
    """A batch under way and the list that its replies come to."""
    replies: list[Reply] = []
    batch = driver.run(command, targets, timing, gate, replies.append)
    gate.attach(batch)
    return batch, replies


def run(
    driver: Driver,
    command: Command,
    targets: Sequence[Target],
    timing: Timing = PATIENT,
    gate: RecordingGate | None = None,
) -> dict[str, Reply]:
    """Every target's reply by node; fails when one has none or two."""
    batch, replies = start(driver, command, targets, timing, gate or RecordingGate())
    assert batch.wait_done(120), "the batch did not end"
    by_node = {reply.node: reply for reply in replies}
    assert len(replies) == len(by_node) == len(targets)
    return by_node
