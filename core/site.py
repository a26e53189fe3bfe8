"""Settings of the site table that dispatch uses, read strictly: what is no number is named, not guessed."""

from collections.abc import Mapping

from core.errors import RequestError
from core.jobspec import Pace

#: Actions that syspowerinterval spreads over time (xCAT site(5)).
PACED_ACTIONS = frozenset({"on", "reset", "boot"})


def number(site: Mapping[str, str], key: str, default: float, least: float = 0) -> float:
    """The number that a site setting holds, `default` when it is not set. Raises RequestError."""
    text = site.get(key, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise RequestError(
            f"site.{key} is {text!r}; it must be a number of at least {least:g}. "
            f"Set it with: chdef -t site clustersite {key}={default:g}"
        )
    return value


def pace(site: Mapping[str, str]) -> Pace | None:
    """syspowerinterval and syspowermaxnodes; None when power is not spread. Raises RequestError."""
    interval = number(site, "syspowerinterval", 0)
    if not interval:
        return None
    most = int(number(site, "syspowermaxnodes", 0))
    if not most:
        raise RequestError(
            "'syspowermaxnodes' is required if 'syspowerinterval' is configured in the site table."
        )
    return Pace(interval, most)
