"""What every BMC driver takes and gives back.

A driver is handed targets with their credentials, one command for all of them, and a `Gate`. It reads
what it needs, asks the gate before anything that changes a node, and tells `on_reply` exactly once for each
target. It knows nothing of jobs, attempts, queues or databases.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from core.bootdev import BootRequest
from core.power import Action
from core.webaccess import Web

#: One command for a whole batch: a power action, or a boot device request.
Command = Action | BootRequest


@dataclass(frozen=True, slots=True)
class Target:
    """One BMC: numeric address, port (UDP or TCP), credentials as bytes (never printed)."""

    node: str
    address: str
    username: bytes = field(repr=False)
    password: bytes = field(repr=False)
    port: int = 623
    #: For Redfish alone.
    web: Web | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a BMC is given: silent means `timeout_s * retries` seconds without a datagram from it."""

    timeout_s: float = 3.0
    retries: int = 5

    @property
    def deadline_s(self) -> float:
        """Seconds of silence after which a BMC is given up."""
        return self.timeout_s * self.retries


class Verdict(StrEnum):
    """What became of one target."""

    #: Done; `text` is the value that is printed.
    OK = "ok"
    #: Of the node: final. `error` is the class name of a NodeError.
    NODE = "node"
    #: Of the way, and nothing that changes the node was sent: the next service node may try.
    WAY = "way"
    #: A state-changing command left and no answer came: nobody knows.
    LOST = "lost"
    #: The gate refused, or the batch was abandoned: nothing was sent.
    DROPPED = "dropped"
    #: This driver does not understand the BMC; nothing was sent. Another driver may.
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Reply:
    """The one answer for one target: a value, or an error class name and a sentence."""

    node: str
    verdict: Verdict
    text: str
    error: str = ""
    #: The state-changing command that was sent, "" when none was.
    sent: str = ""


class Gate(Protocol):
    """Asked before a state-changing command leaves. Called from the driver's loop; never blocks."""

    def request(self, node: str, sends: str) -> None:
        """`node` has an open session and would send `sends` next; Batch.permit or refuse answers."""

    def may_send(self, node: str) -> bool:
        """The look at the own clock directly before a permitted node's datagram; False drops the node."""


class Batch(Protocol):
    """A batch in flight. All methods may be called from any thread."""

    def permit(self, nodes: Collection[str]) -> None:
        """These requested nodes are marked `issued`: send."""

    def refuse(self, nodes: Collection[str]) -> None:
        """These requested nodes are no longer ours: answer DROPPED."""

    def abandon(self) -> None:
        """Stop: targets without a reply that have sent nothing are DROPPED, those that have are LOST."""

    def wait_settled(self, timeout_s: float | None = None) -> bool:
        """Block until only silent BMCs (or nothing) are left; False when `timeout_s` ran out first."""

    def wait_done(self, timeout_s: float | None = None) -> bool:
        """Block until every target has its reply; False when `timeout_s` ran out first."""


class Driver(Protocol):
    """One way to talk to BMCs."""

    def run(
        self,
        command: Command,
        targets: Sequence[Target],
        timing: Timing,
        gate: Gate,
        on_reply: Callable[[Reply], None],
    ) -> Batch:
        """Start `command` on all targets, return at once; `on_reply` is called from the driver's thread."""
