"""Host names to addresses, many at once, with a bound on the whole."""

import socket
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from ipaddress import ip_address

#: A name server that does not answer costs one batch this many seconds.
PATIENCE_S = 1.0
LOOKERS = 16
#: How long and for how many addresses a reverse look-up is remembered.
KNOWN_S = 30.0
MOST_KNOWN = 1_000


class Resolver:
    """Remembers what it found; numeric addresses cost nothing. Not for several threads at once."""

    def __init__(self) -> None:
        #: Names of the last look-up that nobody answered in time.
        self.late: frozenset[str] = frozenset()
        self._known: dict[str, str] = {}
        self._lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="resolve")

    def addresses(self, hosts: Collection[str]) -> dict[str, str]:
        """host → numeric address, for those that could be resolved within PATIENCE_S."""
        found = {host: host for host in hosts if _numeric(host)}
        unknown = [host for host in set(hosts) - found.keys() if host not in self._known]
        futures = {self._lookers.submit(_look_up, host): host for host in unknown}
        done, late = wait(futures, timeout=PATIENCE_S)
        for future in late:
            future.cancel()
        self.late = frozenset(futures[future] for future in late)
        for future in done:
            if address := future.result():
                self._known[futures[future]] = address
        return found | {host: self._known[host] for host in hosts if host in self._known}

    def close(self) -> None:
        """End the threads as soon as the look-ups in hand end; nothing can be asked afterwards."""
        self._lookers.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        """Look every name up again from now on."""
        self._known.clear()


class Reverse:
    """Addresses to names that lead back to them, without ever waiting: who is looked up is unknown so far."""

    def __init__(self) -> None:
        self._looked: dict[str, tuple[float, Future[str]]] = {}
        self._lookers = ThreadPoolExecutor(4, thread_name_prefix="reverse")

    def name_of(self, address: str) -> str:
        """The host name behind an address, as far as it is known; "" so far, or when there is none."""
        now = time.monotonic()
        asked, future = self._looked.get(address, (float("-inf"), None))
        if future is None or (future.done() and now - asked > KNOWN_S):
            if len(self._looked) >= MOST_KNOWN:
                self._looked = {key: one for key, one in self._looked.items() if not one[1].done()}
            if len(self._looked) < MOST_KNOWN:
                self._looked[address] = (now, self._lookers.submit(_look_back, address))
        return future.result() if future is not None and future.done() else ""


def _numeric(host: str) -> bool:
    with suppress(OSError, ValueError):  # nearly all are of this kind, and ip_address takes ten times as long
        socket.inet_pton(socket.AF_INET, host)
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(host: str) -> str | None:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except (OSError, UnicodeError):
        return None


def _look_back(address: str) -> str:
    try:
        name = socket.gethostbyaddr(address)[0]
        back = {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)}
    except (OSError, UnicodeError):
        return ""
    return name.lower() if address in back else ""


def host_names() -> tuple[str, ...]:
    """The short and the full name of this host."""
    name = socket.gethostname()
    return tuple(dict.fromkeys([name, name.partition(".")[0], socket.getfqdn()]))
