"""What a node that answers, or does not, is said to be (nodelist.status), as xCAT's xcatmon says it.

A node on its way, installing or booting, is left alone: it reports itself, and is silent in between.
"""

ALIVE, UNREACHABLE = "alive", "unreachable"
#: Statuses that a node leaves when it is found to answer, and when it is found not to.
BECOMES_ALIVE = frozenset({"", UNREACHABLE, "unknown"})
BECOMES_UNREACHABLE = frozenset({"", ALIVE, "booted", "unknown"})
#: xcatmon's own ping-interval.
MINUTES = 3.0


def changed(status: str, answers: bool) -> str | None:
    """The new status of a node; None when it keeps the one it has."""
    if answers:
        return ALIVE if status in BECOMES_ALIVE else None
    return UNREACHABLE if status in BECOMES_UNREACHABLE else None


def interval_s(setting: str) -> float:
    """Seconds between two looks, from ping-interval in minutes; xcatmon's own for what is no number."""
    try:
        minutes = float(setting)
    except ValueError:
        minutes = MINUTES
    return 60 * (minutes if 0.01 <= minutes < 1e6 else MINUTES)
