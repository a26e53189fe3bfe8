"""The queue classes of a host: each has a Celery worker of its own, so `rpower n1` waits for no bulk job."""

import os
from dataclasses import dataclass
from pathlib import Path

from db.home import Home


@dataclass(frozen=True, slots=True)
class QueueClass:
    """One queue of a host: its suffix and how many pool processes work on it."""

    suffix: str
    children: int


#: Small interactive work, and batches of big jobs with a process for each core.
PROMPT = (QueueClass("", 1), QueueClass(".bulk", os.cpu_count() or 1))
#: What takes minutes: images.
LONG = QueueClass(".build", 1)


def prompt(*, is_mn: bool) -> tuple[QueueClass, ...]:
    """Queues without which this host does not live; for images a service node has time."""
    return (*PROMPT, LONG) if is_mn else PROMPT


def listens(home: Home, kind: QueueClass) -> Path:
    """What the worker of a queue makes when it listens."""
    return home.run / f"listens-{home.name}{kind.suffix}"
