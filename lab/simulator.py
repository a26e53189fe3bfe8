"""Thousands of BMCs behind one UDP socket: the address a datagram was sent to says which BMC it is for.

IP_PKTINFO (ip(7)) gives that address, and sending it back makes the answer come from there. One loop owns
the socket, the timers of delayed answers, the sessions and the control connections; nothing is locked.
"""

import contextlib
import random
import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from heapq import heappop, heappush
from types import TracebackType
from typing import Any, Self

from core.errors import UnavailableError
from lab.bmc import Bmc, Faults
from lab.client import SimControl
from lab.control import ControlServer
from lab.fleet import Fleet, Settings

#: Datagrams taken from the socket before timers and control connections get their turn.
_BURST = 256
_RECEIVE_BUFFER = 8 << 20
_SWEEP_S = 5.0
# Linux's numbers; the socket module of Python 3.11 names neither.
_IP_PKTINFO = 8
_SO_RCVBUFFORCE = 33

_Peer = tuple[str, int]
_Ancillary = list[tuple[int, int, bytes]]
#: Due time, a number that keeps the order, the datagram, from which address, to whom.
_Delayed = tuple[float, int, bytes, _Ancillary, _Peer]


class Simulator:
    """The running BMCs. Use it as a context manager: it then runs in a thread of its own.

    `port` is the UDP port, `control` speaks to it from any other thread.
    Raises RequestError for unusable settings, UnavailableError when a socket cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        self.fleet = Fleet(settings)
        self._by_packed = {socket.inet_aton(address): bmc for address, bmc in self.fleet.bmcs.items()}
        self._random = random.Random(settings.seed)
        self._delayed: list[_Delayed] = []
        self._order = 0
        self._calls: deque[tuple[dict[str, Any], Future[dict[str, Any]]]] = deque()
        self._stop = False
        self._thread: threading.Thread | None = None
        self._next_sweep = time.monotonic() + _SWEEP_S
        self._open = contextlib.ExitStack()
        try:
            self._open_sockets(settings)
        except BaseException:
            self._open.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.fleet.port = self.port

    @property
    def control(self) -> SimControl:
        """The control of this simulator, for other threads of this process."""
        return SimControl(self._ask)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="bmc-simulator", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Make `run` return soon; from any thread or a signal handler."""
        self._stop = True
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    def run(self) -> None:
        """Serve until `stop`; then close every socket."""
        try:
            while not self._stop:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                now = time.monotonic()
                self._send_due(now)
                if now >= self._next_sweep:
                    self.fleet.sessions.expire(now)
                    self._next_sweep = now + _SWEEP_S
        finally:
            self._stop = True
            self._open.close()
            while self._calls:
                self._calls.popleft()[1].set_exception(UnavailableError("the simulator has stopped"))

    def _open_sockets(self, settings: Settings) -> None:
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        ends = socket.socketpair()
        self._wake_in, self._wake_out = (self._open.enter_context(end) for end in ends)
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._run_calls)
        self._socket = self._open.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            _prepare(self._socket, settings.port)
        except OSError as error:
            raise UnavailableError(f"UDP port {settings.port} cannot be had: {error.strerror}") from None
        self._selector.register(self._socket, selectors.EVENT_READ, self._receive)
        if settings.control is None:
            return
        try:
            server = ControlServer(settings.control, self._selector, self._execute)
        except OSError as error:
            reason = error.strerror or error
            raise UnavailableError(f"control socket {settings.control} cannot be had: {reason}") from None
        self._open.callback(server.close)

    def _patience(self) -> float:
        due = min(self._delayed[0][0], self._next_sweep) if self._delayed else self._next_sweep
        return max(0.0, due - time.monotonic())

    def _receive(self) -> None:
        """Take up to a burst of datagrams and answer them."""
        receive, by_packed, deliver = self._socket.recvmsg, self._by_packed, self._deliver
        now = time.monotonic()
        for _ in range(_BURST):
            try:
                datagram, ancillary, _flags, peer = receive(2048, 64)
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            # struct in_pktinfo: interface index, local address, destination address of the header.
            bmc = by_packed.get(ancillary[0][2][8:12]) if ancillary else None
            if bmc is None:
                self.fleet.strays += 1
            else:
                deliver(bmc, datagram, ancillary, peer, now)

    def _deliver(self, bmc: Bmc, datagram: bytes, ancillary: _Ancillary, peer: _Peer, now: float) -> None:
        """One datagram to one BMC, through the faults of the network on its way in and out."""
        faults, counters = bmc.faults, bmc.counters
        counters.datagrams += 1
        if faults.silent or (faults.deaf_to and faults.deaf_to == peer[0]):
            return
        for _ in range(self._copies(faults)):
            answer = self.fleet.sessions.handle(bmc, datagram, now)
            if answer is None:
                continue
            counters.answers += 1
            for _ in range(self._copies(faults)):
                if faults.latency:
                    self._order += 1
                    heappush(self._delayed, (now + faults.latency, self._order, answer, ancillary, peer))
                else:
                    self._send(answer, ancillary, peer)

    def _copies(self, faults: Faults) -> int:
        """How often the network delivers one datagram: a lost one 0 times, a doubled one twice."""
        if faults.loss and self._random.random() < faults.loss:
            return 0
        return 2 if faults.duplicate and self._random.random() < faults.duplicate else 1

    def _send(self, answer: bytes, ancillary: _Ancillary, peer: _Peer) -> None:
        # A console that went away, or a full buffer, is a lost datagram: UDP promises no more.
        with contextlib.suppress(OSError):
            self._socket.sendmsg((answer,), ancillary, 0, peer)

    def _send_due(self, now: float) -> None:
        delayed = self._delayed
        while delayed and delayed[0][0] <= now:
            _, _, answer, ancillary, peer = heappop(delayed)
            self._send(answer, ancillary, peer)

    def _execute(self, request: object) -> dict[str, Any]:
        return self.fleet.execute(request, time.monotonic())

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the loop execute `request`; from any thread but the loop's own."""
        answer: Future[dict[str, Any]] = Future()
        self._calls.append((request, answer))
        if self._stop:
            raise UnavailableError("the simulator has stopped")
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")
        try:
            return answer.result(30.0)
        except TimeoutError:
            raise UnavailableError("the simulator's loop does not answer; does it run?") from None

    def _run_calls(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4096)
        while self._calls:
            request, answer = self._calls.popleft()
            answer.set_result(self._execute(request))


def _prepare(channel: socket.socket, port: int) -> None:
    """Bind on every address, so that each is a BMC; what is for none of ours is dropped on receipt."""
    channel.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    try:
        # Root may exceed the system's limit; a burst of thousands of consoles must fit.
        channel.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    channel.setblocking(False)
    channel.bind(("", port))
