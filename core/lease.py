"""The lease of a service node: what it says about itself twice a second (PROTOCOL rules 8 and 21).

The beat counter is the proof of life; everything else is told along with it. The text form is one JSON
object. Unknown keys are ignored and missing ones have defaults, so that neighbours of another release are
understood well enough to say which protocol they speak.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from core.errors import DefinitionError

#: The number of the dispatch protocol that this release speaks; N-1 is understood too.
PROTOCOL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What one MN or SN says about itself."""

    #: The name of its queues: `sn1`.
    name: str
    #: Rises with every beat; only its changes mean anything.
    beat: int
    #: Chosen anew at every start of the worker.
    boot: str
    #: Serval's version, such as `0.1.0`.
    release: str = ""
    protocol: int = PROTOCOL
    #: `mn` or `sn`.
    role: str = "sn"
    #: Other names of the host, short and fully qualified.
    aliases: tuple[str, ...] = ()
    #: The boot id of its kernel: who has the same is on the same host. Empty when it does not tell.
    kernel: str = ""
    #: Whether it reached the database at its last try.
    database_ok: bool = True
    #: Its wall clock at this beat, seconds since 1970, for `serval check` alone; 0 when it does not tell.
    at: float = 0.0
    #: Figures for `serval sn`: attempts running, BMC sessions open and the like.
    load: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One successful look at all leases."""

    #: Another value than in the reading before means that Redis was restarted or emptied in between.
    era: str
    leases: Mapping[str, Lease]


def to_text(lease: Lease) -> str:
    """The lease as JSON."""
    return json.dumps(asdict(lease) | {"load": dict(lease.load)}, separators=(",", ":"))


def from_text(name: str, text: str) -> Lease:
    """The lease of `name` that `text` holds; raises DefinitionError, naming the host, when it is none."""
    try:
        told = json.loads(text)
        return Lease(
            name=name,
            beat=int(told["beat"]),
            boot=str(told["boot"]),
            release=str(told.get("release", "")),
            protocol=int(told["protocol"]),
            role=str(told.get("role", "sn")),
            aliases=tuple(str(alias) for alias in listed(told.get("aliases"))),
            kernel=str(told.get("kernel", "")),
            database_ok=told.get("database_ok", True) is True,
            at=figures({"at": told.get("at")}).get("at", 0.0),
            load=figures(told.get("load")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise DefinitionError(f"the lease of {name} in Redis cannot be read: {text[:80]!r}") from error


def listed(value: Any) -> list[Any]:
    """`value` if it is a list, else nothing."""
    return value if isinstance(value, list) else []


def figures(value: Any) -> dict[str, float]:
    """The finite numbers in `value` by name; empty when it is no object."""
    if not isinstance(value, dict):
        return {}
    numbers = {str(key): float(word) for key, word in value.items() if isinstance(word, int | float)}
    return {key: number for key, number in numbers.items() if isfinite(number)}
