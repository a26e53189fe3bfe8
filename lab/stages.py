"""What took how long in a run of the laboratory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Stages:
    """Says of each stage how long it took, when it went well."""

    out: TextIO
    _began: float = field(default_factory=time.monotonic)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, and say so when it went well."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self.out.write(f"  {name:<58} {now - began:6.1f} s   at {now - self._began:6.1f} s\n")
        self.out.flush()
