"""A batch in flight, for any driver: its targets that wait, its conversations, and who is told what."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from threading import Event
from typing import Generic, Protocol, TypeVar

from drivers.bmc.chassis import order_of
from drivers.bmc.contract import Command, Gate, Reply, Target, Timing

Talk = TypeVar("Talk")
log = logging.getLogger(__name__)


class RunningBatch(Generic[Talk]):
    """One call of a driver's `run`; `Talk` is the driver's own conversation with one BMC."""

    def __init__(
        self,
        command: Command,
        targets: Sequence[Target],
        timing: Timing,
        gate: Gate,
        on_reply: Callable[[Reply], None],
        post: Callable[[Callable[[], None]], None],
        owner: "BatchOwner[Talk]",
    ) -> None:
        self.order = order_of(command)
        self.timing = timing
        self.waiting = deque(targets)
        self.sessions: dict[str, Talk] = {}
        self._gate, self._on_reply = gate, on_reply
        self._post, self._owner = post, owner
        self._left, self._silent = len(targets), 0
        self._settled, self._done = Event(), Event()
        self._look()

    # -- any thread --------------------------------------------------------------------------------

    def permit(self, nodes: Collection[str]) -> None:
        """These requested nodes are marked `issued`: send."""
        names = tuple(nodes)
        self._post(lambda: self._owner.permit(self, names))

    def refuse(self, nodes: Collection[str]) -> None:
        """These requested nodes are no longer ours: answer DROPPED."""
        names = tuple(nodes)
        self._post(lambda: self._owner.abandon(self, names))

    def abandon(self) -> None:
        """End every target that has no reply yet."""
        self._post(lambda: self._owner.abandon(self, None))

    def wait_settled(self, timeout_s: float | None = None) -> bool:
        """Block until only silent BMCs (or nothing) are left; False when `timeout_s` ran out first."""
        return self._settled.wait(timeout_s)

    def wait_done(self, timeout_s: float | None = None) -> bool:
        """Block until every target has its reply; False when `timeout_s` ran out first."""
        return self._done.wait(timeout_s)

    # -- the driver's thread -----------------------------------------------------------------------

    def ask(self, node: str, sends: str) -> bool:
        """Ask the gate on behalf of a node; False when it could not be asked."""
        try:
            self._gate.request(node, sends)
        except Exception:
            log.exception("the gate failed to take the request of %s; nothing is sent", node)
            return False
        return True

    def may_send(self, node: str) -> bool:
        """The gate's last look; a gate that fails says no."""
        try:
            return self._gate.may_send(node)
        except Exception:
            log.exception("the gate failed to look for %s; nothing is sent", node)
            return False

    def answer(self, reply: Reply) -> None:
        """Hand out the one reply of a target."""
        self.sessions.pop(reply.node, None)
        try:
            self._on_reply(reply)
        except Exception:
            log.exception("the reply of %s (%s) could not be handed over", reply.node, reply.verdict)
        self._left -= 1
        self._look()

    def silence(self, change: int) -> None:
        """One target more (1) or fewer (-1) is silent."""
        self._silent += change
        self._look()

    def _look(self) -> None:
        if self._left == 0:
            self._done.set()
        if self._left <= self._silent:
            self._settled.set()
        elif self._settled.is_set():
            self._settled.clear()


class BatchOwner(Protocol[Talk]):
    """What a batch asks of its driver, in the driver's thread."""

    def permit(self, batch: RunningBatch[Talk], nodes: Sequence[str]) -> None:
        """The gate said yes to `nodes`."""

    def abandon(self, batch: RunningBatch[Talk], nodes: Sequence[str] | None) -> None:
        """End `nodes` (None: all) with what is known."""
