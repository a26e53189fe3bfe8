"""A port for a server of our own that will be started, and started again, on it.

It lies below those that the kernel gives to outgoing connections (ip_local_port_range in ip(7)): of these any
may be taken at the very moment when the server does not run.
"""

import random
import socket
from contextlib import suppress

from core.errors import UnavailableError

#: Above the ports that registered services are usually found on; Linux gives 32768 and more to others.
FIRST, LAST = 20_000, 32_000
TRIES = 200


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody uses on any address of this host now. Raises UnavailableError when none is found."""
    for port in random.sample(range(FIRST, LAST), TRIES):
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise UnavailableError(f"none of {TRIES} ports between {FIRST} and {LAST} that were tried is free")
