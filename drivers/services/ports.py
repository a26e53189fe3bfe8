"""Who listens on a port of this host, from `ss` of iproute2."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import UnavailableError
from drivers.services.daemon import Port

TIMEOUT_S = 10
_USER = re.compile(r'\("([^"]*)",pid=(\d+)')


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for others. A socket of the kernel, or of another user, has no process here."""

    port: Port
    #: Process name and id.
    processes: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        who = ", ".join(f"{name} (process {pid})" for name, pid in self.processes)
        return (
            f"port {self.port.number}/{self.port.transport} is taken by {who or 'the kernel or another user'}"
        )


def listeners() -> list[Listener]:
    """Every listening TCP socket and every unconnected UDP socket. Raises UnavailableError."""
    try:
        done = subprocess.run(
            ["ss", "-Hlntup"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except FileNotFoundError as error:
        raise UnavailableError("The program 'ss' is missing: install iproute2.") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"'ss -Hlntup' did not answer: {error}") from error
    return [listener_of(line) for line in done.stdout.splitlines() if line.strip()]


def listener_of(line: str) -> Listener:
    """One line of `ss -Hlntup`: transport, state, two queues, local and peer address, processes."""
    transport, _, _, _, local, *rest = line.split()
    address, _, number = local.rpartition(":")
    address = address.strip("[]").partition("%")[0].removeprefix("::ffff:")
    users = tuple((name, int(pid)) for name, pid in _USER.findall(" ".join(rest)))
    return Listener(Port(transport, int(number), "" if address in ("*", "0.0.0.0", "::") else address), users)


def strangers(wanted: Iterable[Port]) -> list[Listener]:
    """Those who hold what a daemon that does not run yet must have."""
    asked = set(wanted)
    return [found for found in listeners() if asked and any(_overlap(found.port, port) for port in asked)]


def _overlap(one: Port, other: Port) -> bool:
    same = (one.transport, one.number) == (other.transport, other.number)
    return same and (not one.address or not other.address or one.address == other.address)
