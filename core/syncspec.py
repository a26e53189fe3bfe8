"""What a job asks that every member of a pool does: to make its own files and daemons what they should be.

Such a job (nodeset, makedhcp, services …) gives each member an attempt of its own; a node is ok when at least
one member of its pool is ready (DESIGN section 6).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.errors import RequestError


class Mode(StrEnum):
    """What the members do."""

    #: Make it so.
    APPLY = "apply"
    #: Only look, and say how it stands.
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class SyncSpec:
    """The spec of such a job: `kinds` are done in this order, each by the hand of that name."""

    kinds: tuple[str, ...]
    mode: Mode = Mode.APPLY
    #: Service nodes that shall do it too, whose absence is no node's trouble.
    also: tuple[str, ...] = ()
    #: Cancelled when it could not start within so many seconds.
    job_start_s: float = 60.0
    #: What the hands need to know besides: `image`, `method` …
    details: Mapping[str, str] = field(default_factory=dict)
    #: The queue class that does it, such as `build`; empty: the usual one for the job's size.
    queue: str = ""
    #: Nodes that get their rows when they end (db/folding.py): pool, what is printed, and the nodes folded.
    folded: tuple[tuple[str, str, str], ...] = ()

    def to_text(self) -> str:
        """The JSON for job.spec."""
        told = {"sync": self.kinds, "mode": self.mode.value, "also": self.also, "start": self.job_start_s}
        more = {"details": dict(self.details), "queue": self.queue, "folded": self.folded}
        return json.dumps(told | more)


def from_text(text: str) -> SyncSpec | None:
    """The spec that `to_text` wrote; None for a job of another nature. Raises RequestError for neither."""
    try:
        told = json.loads(text)
        if "sync" not in told:
            return None
        return SyncSpec(
            kinds=tuple(told["sync"]),
            mode=Mode(told["mode"]),
            also=tuple(told["also"]),
            job_start_s=float(told["start"]),
            details=dict(told.get("details", {})),
            queue=str(told.get("queue", "")),
            folded=tuple((pool, text, nodes) for pool, text, nodes in told.get("folded", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"the job's specification cannot be read: {error}") from error
