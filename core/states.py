"""The states of a node within a job and how it ends; docs/architecture.md has the table of moves.

waiting ──bind──► bound ──claim──► claimed ──mark──► issued ──report──► done
   ▲                │                 │                 │
   │                └────── fence, hop (repeatable) ────┤
   └──────────────── hopped ◄─────────────────────────┘
"""

from enum import StrEnum


class NodeState(StrEnum):
    """Where one node of one job stands. Only `done` has an outcome."""

    #: Nobody works on it.
    WAITING = "waiting"
    #: Given to an attempt that no service node has claimed yet.
    BOUND = "bound"
    #: A service node works on it; nothing that changes the node has left.
    CLAIMED = "claimed"
    #: Marked durably; the state-changing command may have left.
    ISSUED = "issued"
    #: That attempt could not do it; the next service node may.
    HOPPED = "hopped"
    #: Final.
    DONE = "done"


#: States in which nothing has been sent by the present attempt: cancel and fence may take the node.
UNSENT = (NodeState.WAITING, NodeState.BOUND, NodeState.CLAIMED, NodeState.HOPPED)


class Outcome(StrEnum):
    """How one node of one job ended."""

    OK = "ok"
    #: Of the node: the BMC or the tables said no.
    ERROR = "error"
    #: Of the way: every service node of the pool was tried or is not there.
    UNREACHED = "unreached"
    #: Nothing was sent.
    CANCELLED = "cancelled"
    #: A command left and nobody can prove what the BMC did.
    UNKNOWN = "unknown"


#: Outcomes that `serval retry` asks for again without being told more.
FAILED = (Outcome.ERROR, Outcome.UNREACHED, Outcome.CANCELLED)


class JobState(StrEnum):
    """Whether a job still has work; how it went is in its nodes."""

    ACTIVE = "active"
    DONE = "done"


class StepState(StrEnum):
    """Where one step of a chain stands."""

    #: The steps before it go on.
    WAITING = "waiting"
    #: Its job exists, or its wait has begun.
    STARTED = "started"
    #: Over, its result stored and what comes next started.
    DONE = "done"
    #: It never ran: no node was left, or it was refused.
    DROPPED = "dropped"
    #: Somebody ended its chain before it ran, or while it waited for its nodes; what remains is to say so.
    CANCELLED = "cancelled"


OPEN_STEPS = (StepState.WAITING, StepState.STARTED, StepState.CANCELLED)
