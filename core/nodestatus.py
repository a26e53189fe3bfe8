"""What a booting node may say of itself, and how: xCAT's install monitor (port 3002) and nodelist.status.

The node connects, hears `ready`, says one line (`installstatus booted`, or `next` when an installer is done)
and hears `done` once that is recorded. A node that does not hear `done` says it again.
"""

import time

from core.errors import RequestError

#: xCAT's values of nodelist.status.
# fmt: off
STATES = frozenset({
    "alive", "unreachable", "installing", "installed", "booting", "postbooting", "netbooting",
    "booted", "powering-on", "powering-off", "discovering", "discovered", "configuring",
    "configured", "standingby", "shell", "defined", "unknown", "failed", "bmcready",
})
# fmt: on
FAILED = "failed"
#: What an installer says at its end: the node shall boot what comes next, and not install again.
NEXT = "next"
VERB = "installstatus"
#: Bytes of a line; the longest that means something has 27.
LONGEST = 200

READY = b"ready\n"
DONE = b"done\n"
DEFAULT_PORT = 3002


def parse(line: bytes) -> str:
    """The status in a line, or NEXT. Raises RequestError with the word that the node hears."""
    words = line.decode("ascii", "replace").split()
    if words == [NEXT]:
        return NEXT
    if len(words) != 2 or words[0] != VERB:
        raise RequestError(f"say '{VERB} STATUS' or '{NEXT}'")
    if words[1] not in STATES:
        raise RequestError(f"{words[1][:40]!r} is no status; these are: {' '.join(sorted(STATES))}")
    return words[1]


def clock(now: float) -> str:
    """A moment as nodelist.statustime has it, in local time."""
    return time.strftime("%m-%d-%Y %H:%M:%S", time.localtime(now))
