"""The port that booting nodes report to, in xCAT's protocol (core/nodestatus.py): one loop, with bounds.

Whoever is slow, silent or hostile loses his own connection and nothing else. What nodes say is gathered for a
moment and recorded together; only then each of them hears `done`.
"""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from core.errors import NodeError, RequestError, ServalError, UnavailableError
from core.nodestatus import DONE, LONGEST, READY, parse

log = logging.getLogger(__name__)

BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What one port takes, in connections and seconds."""

    connections: int = 2_000
    #: Of one address.
    each: int = 8
    #: Lines on one connection.
    lines: int = 8
    #: To say a line.
    say_s: float = 10.0
    stranger_s: float = 1.0
    #: To have it recorded.
    record_s: float = 20.0
    gather_s: float = 0.15
    #: Strangers are told of in the log so often at most.
    tell_s: float = 60.0


#: The node behind an address. Raises NodeError for a stranger, UnavailableError when that cannot be told now.
Who = Callable[[str], str]
#: Makes what nodes said durable; those that have to say it again. Raises ServalError when nothing is.
Record = Callable[[Sequence[tuple[str, str]]], Collection[str]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a node said, and when (by a clock that runs on during suspend)."""

    node: str
    word: str
    heard: float
    #: Over when it is recorded, or cannot be.
    recorded: asyncio.Future[None]


class StatusPort:
    """One listening port. `who` and `record` run on a thread each and may block."""

    def __init__(self, who: Who, record: Record, limits: Limits = Limits()) -> None:
        self._who, self._record, self._limits = who, record, limits
        self._open: Counter[str] = Counter()
        self._waiting: list[Report] = []
        self._arrived = asyncio.Event()
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="who")
        self._recording = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._refused = 0
        #: Their addresses, as many as are worth remembering.
        self._strangers: set[str] = set()
        self._told = float("-inf")

    async def serve(self, listening: socket.socket) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._meet, sock=listening, limit=LONGEST, backlog=BACKLOG)
        async with server:
            await self._keep_recording()

    # -- one connection ----------------------------------------------------------------------------

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = plain(peer[0]) if peer else ""
        self._open[address] += 1
        try:
            few = self._open.total() <= self._limits.connections and self._open[address] <= self._limits.each
            if address and few:
                await self._listen(address, reader, writer)
        except (OSError, TimeoutError, ValueError, UnavailableError):
            log.debug("%s: went away, was too slow, said too much, or cannot be heard now", address)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
            writer.close()

    async def _listen(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            node = await asyncio.get_running_loop().run_in_executor(self._asking, self._who, address)
        except NodeError as error:
            self._refuse(address, error.message)
            # What is unread when a connection is closed makes TCP take our word back.
            await asyncio.wait_for(reader.readline(), self._limits.stranger_s)
            writer.write(b"refused: this address is not that of a node that is served here\n")
            return
        writer.write(READY)
        for _ in range(self._limits.lines):
            line = await asyncio.wait_for(reader.readline(), self._limits.say_s)
            if not line.strip():
                return
            try:
                word = parse(line)
            except RequestError as error:
                writer.write(f"refused: {error.message}\n".encode())
                return
            await asyncio.wait_for(self._hand_in(node, word), self._limits.record_s)
            writer.write(DONE)
            await asyncio.wait_for(writer.drain(), self._limits.say_s)

    def _refuse(self, address: str, why: str) -> None:
        """Count a stranger; the log hears of all of them together, seldom."""
        self._refused += 1
        if len(self._strangers) < self._limits.connections:
            self._strangers.add(address)
        now = time.monotonic()
        if now - self._told >= self._limits.tell_s:
            many = len(self._strangers)
            log.warning("%d node reports refused, from %d addresses; the last: %s", self._refused, many, why)
            self._told, self._refused = now, 0
            self._strangers.clear()

    # -- recording ---------------------------------------------------------------------------------

    def _hand_in(self, node: str, word: str) -> asyncio.Future[None]:
        """What a node said; the future is over when it is recorded, or cannot be."""
        report = Report(node, word, now(), asyncio.get_running_loop().create_future())
        self._waiting.append(report)
        self._arrived.set()
        return report.recorded

    async def _keep_recording(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._limits.gather_s)
            self._arrived.clear()
            said, self._waiting = self._waiting, []
            await self._record_all(said)

    async def _record_all(self, said: Sequence[Report]) -> None:
        loop = asyncio.get_running_loop()
        try:
            lost = set(await loop.run_in_executor(self._recording, self._record_fresh, said))
        except ServalError as failure:
            lost = {one.node for one in said}
            log.warning("%d node reports were not recorded: %s", len(said), failure.message)
        for one in said:
            if one.recorded.done():
                continue  # whoever said it has gone
            if one.node in lost:
                one.recorded.set_exception(UnavailableError(f"{one.node}: {one.word} was not recorded"))
            else:
                one.recorded.set_result(None)

    def _record_fresh(self, said: Sequence[Report]) -> set[str]:
        """Record what a node still waits for; the others have said it elsewhere since, or more than that."""
        oldest = now() - self._limits.record_s
        late = {one.node for one in said if one.heard < oldest}
        reports = [(one.node, one.word) for one in said if one.heard >= oldest]
        return late | set(self._record(reports)) if reports else late


def now() -> float:
    """Seconds by a clock that nobody sets and that runs on during suspend."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def listen(port: int) -> socket.socket:
    """A listening socket on all addresses; port 0 is any free one, of this host alone.

    Raises UnavailableError when the port is taken.
    """
    try:
        if port == 0:
            return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        return socket.create_server(("", port), backlog=BACKLOG)
    except OSError as error:
        raise UnavailableError(f"port {port} for node status cannot be used: {error.strerror}") from error


def plain(address: str) -> str:
    """An address as tables have it: IPv4 is IPv4 on a socket for both too, and no interface is named."""
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
