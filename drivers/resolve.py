"""Host names to addresses, many at once, with a bound on the whole."""

import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor, wait
from ipaddress import ip_address

#: A name server that does not answer costs one batch this many seconds.
PATIENCE_S = 1.0
LOOKERS = 16


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


def _numeric(host: str) -> bool:
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
