"""The RMCP+ engine: one UDP socket, one loop, one thread, thousands of conversations (`drivers.bmc.session`).

Datagrams are drained before any timer is looked at, so that a machine that lags does not repeat what was
answered long ago; new conversations start in small portions, so that their answers fit the socket's buffer.
"""

import logging
import os
import select
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import inf
from time import monotonic, sleep
from typing import Any

from core.power import may_repeat
from drivers.bmc.batch import RunningBatch
from drivers.bmc.contract import Command, Gate, Reply, Target, Timing
from drivers.bmc.replies import Replies, endpoint_of
from drivers.bmc.session import Pace, Session

log = logging.getLogger(__name__)

_RECEIVE_BURST, _START_BURST, _TIMER_BURST = 256, 64, 64
_BUFFER_BYTES = 8 << 20
#: Root may go beyond rmem_max and wmem_max; the socket module does not name these.
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
#: Kernel memory that one small datagram takes in a receive buffer, with room to spare.
_DATAGRAM_COST = 1024
_LONG_S = 3600.0

_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class Engine:
    """Runs batches; starts its thread with the first one, and anew in a forked child."""

    def __init__(self, window: int = 4096) -> None:
        """`window`: conversations with BMCs that answer, at once."""
        self._window = window
        self._forget()
        _engines.add(self)

    def _forget(self) -> None:
        """Begin as new; also what a forked child does with its parent's engine."""
        self._lock = threading.Lock()
        self._loop: _Loop | None = None

    def run(
        self,
        command: Command,
        targets: Sequence[Target],
        timing: Timing,
        gate: Gate,
        on_reply: Callable[[Reply], None],
    ) -> RunningBatch[Session]:
        """Start `command` on all targets, return at once; `on_reply` is called from the engine's thread."""
        with self._lock:
            if self._loop is None:
                self._loop = _Loop(self._window)
            loop = self._loop
        batch = RunningBatch(command, targets, timing, gate, on_reply, loop.post, loop)
        loop.post(lambda: loop.admit(batch))
        return batch

    def close(self) -> None:
        """Abandon what is in flight and end the thread; a later `run` starts anew."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()


def _forget_all() -> None:
    for engine in _engines:
        engine._forget()


os.register_at_fork(after_in_child=_forget_all)


class _Loop:
    """The thread of one engine and all it owns."""

    def __init__(self, window: int) -> None:
        self._sockets = {socket.AF_INET: _open_socket(socket.AF_INET)}
        room = self._sockets[socket.AF_INET].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._window = max(1, min(window, room // _DATAGRAM_COST))
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(self._sockets[socket.AF_INET], select.POLLIN)
        self._inbox: deque[Callable[[], None]] = deque()
        self._woken = self._stopping = False
        self._batches: set[RunningBatch[Session]] = set()
        self._unstarted: deque[RunningBatch[Session]] = deque()
        self._by_sid: dict[bytes, Session] = {}
        self._by_address: dict[Any, Session] = {}
        self._timers: list[tuple[float, bytes, Session]] = []
        self._active = 0
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, name="bmc-engine", daemon=True)
        self._thread.start()

    # -- any thread --------------------------------------------------------------------------------

    def post(self, job: Callable[[], None]) -> None:
        """Have the loop's thread call `job`."""
        self._inbox.append(job)
        if not self._woken:
            self._woken = True
            os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """End the thread; targets in flight are abandoned."""

        def end() -> None:
            self._stopping = True

        self.post(end)
        if threading.current_thread() is self._thread:
            return
        self._thread.join()
        for sock in self._sockets.values():
            sock.close()
        os.close(self._wake)

    # -- the loop ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                log.exception("a turn of the BMC engine failed; it goes on")
                sleep(0.05)
        for batch in tuple(self._batches):
            self.abandon(batch, None)

    def _turn(self) -> None:
        drained = self._receive()
        while self._inbox:
            self._inbox.popleft()()
        if drained:
            self._fire_timers(monotonic())
        self._start_some()
        if drained and not self._inbox and not self._stopping:
            self._rest()

    def _rest(self) -> None:
        """Sleep until there is something to do; not at all while conversations can be started."""
        wait = 0.0
        if not self._unstarted or self._active >= self._window:
            wait = max(0.0, self._timers[0][0] - monotonic()) if self._timers else _LONG_S
        for fd, _event in self._poll.poll(wait * 1000 + 0.5):
            if fd == self._wake:
                os.eventfd_read(self._wake)
                self._woken = False

    def _receive(self) -> bool:
        """Take what has come; True when nothing is left."""
        drained = True
        for sock in self._sockets.values():
            receive = sock.recvfrom
            for _ in range(_RECEIVE_BURST):
                try:
                    datagram, address = receive(2048)
                except BlockingIOError:
                    break
                except OSError as error:
                    log.debug("the BMC socket reports %s", error.strerror)
                    continue
                session = self._session_of(datagram, address)
                if session is not None:
                    self._take(session, datagram)
            else:
                drained = False
        return drained

    def _session_of(self, datagram: bytes, address: Any) -> Session | None:
        # A sealed message names our session in its head, a session set-up answer in its payload.
        sid = datagram[6:10] if datagram[5:6] == b"\xc0" else datagram[20:24]
        session = self._by_sid.get(sid)
        if session is None:
            # Errors cut short and IPMI 1.5 answers name none.
            return self._by_address.get(address)
        return session if session.sockaddr == address else None

    def _take(self, session: Session, datagram: bytes) -> None:
        now = monotonic()
        try:
            packet = session.receive(datagram, now)
        except Exception:
            log.exception("a datagram of the BMC of %s could not be read", session.node)
            return
        self._follow(session, packet)

    def _fire_timers(self, now: float) -> None:
        timers = self._timers
        for _ in range(_TIMER_BURST):
            if not timers or timers[0][0] > now:
                return
            due, _sid, session = heappop(timers)
            if session.queued != due or session.reply is not None:
                continue
            session.queued = inf
            if session.due > now:
                session.queued = session.due
                heappush(timers, (session.due, session.sid, session))
            else:
                self._follow(session, session.expired(now))

    def _follow(self, session: Session, packet: bytes | None) -> None:
        """Do what a conversation wants after a step."""
        if packet is not None:
            if session.changing:
                self._send_change(session, packet)
            else:
                self._send(session, packet)
        elif session.asking:
            session.asking = False
            if not session.owner.ask(session.node, session.sends):
                session.abandon()
        if session.reply is not None:
            self._finish(session)
            return
        if session.slow is not session.counted_slow:
            self._count_silence(session)
        if session.due < session.queued:
            session.queued = session.due
            heappush(self._timers, (session.due, session.sid, session))

    def _count_silence(self, session: Session) -> None:
        session.counted_slow = session.slow
        self._active += -1 if session.slow else 1
        session.owner.silence(1 if session.slow else -1)

    # -- sending -----------------------------------------------------------------------------------

    def _send(self, session: Session, packet: bytes) -> None:
        try:
            session.socket.sendto(packet, session.sockaddr)
        except OSError as error:
            # Whatever it was, the timer tries again and gives up in time.
            log.debug("%s: %s", session.sockaddr[0], error.strerror)

    def _send_change(self, session: Session, packet: bytes) -> None:
        if not session.owner.may_send(session.node):
            session.abandon()
            return
        try:
            session.socket.sendto(packet, session.sockaddr)
        except OSError as error:
            if not may_repeat(session.sends):
                session.unsendable(error.strerror or type(error).__name__)
            return
        session.mark_sent()

    # -- conversations -----------------------------------------------------------------------------

    def admit(self, batch: RunningBatch[Session]) -> None:
        """Take a new batch in."""
        if batch.waiting:
            self._batches.add(batch)
            self._unstarted.append(batch)

    def _start_some(self) -> None:
        for _ in range(_START_BURST):
            if not self._unstarted or self._active >= self._window:
                return
            # One target of each batch in turn: a small batch does not wait for a big one.
            batch = self._unstarted.popleft()
            if batch.waiting:
                self._start(batch, batch.waiting.popleft())
            if batch.waiting:
                self._unstarted.append(batch)

    def _start(self, batch: RunningBatch[Session], target: Target) -> None:
        try:
            endpoint = self._endpoint(target)
        except OSError as error:
            self._answer(batch, Replies(target).unsent(error.strerror or type(error).__name__))
            return
        if endpoint is None:
            self._answer(batch, Replies(target).no_address(target.address, target.port))
            return
        if not batch.order.offered:
            self._answer(batch, Replies(target).unsupported())
            return
        sock, sockaddr = endpoint
        session = Session(target, batch.order, batch.timing, self._pace, batch, sock, sockaddr)
        batch.sessions[target.node] = session
        self._by_sid[session.sid] = session
        self._by_address[sockaddr] = session
        self._active += 1
        self._follow(session, session.start(target, monotonic()))

    def _endpoint(self, target: Target) -> tuple[socket.socket, Any] | None:
        endpoint = endpoint_of(target)
        if endpoint is None:
            return None
        family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
        if family not in self._sockets:
            self._sockets[family] = _open_socket(family)
            self._poll.register(self._sockets[family], select.POLLIN)
        return self._sockets[family], endpoint if family == socket.AF_INET else (*endpoint, 0, 0)

    def _finish(self, session: Session) -> None:
        farewell = session.farewell()
        if farewell is not None:
            self._send(session, farewell)
        self._by_sid.pop(session.sid, None)
        if self._by_address.get(session.sockaddr) is session:
            del self._by_address[session.sockaddr]
        if session.counted_slow:
            session.owner.silence(-1)
        else:
            self._active -= 1
        if session.reply is not None:
            self._answer(session.owner, session.reply)

    def _answer(self, batch: RunningBatch[Session], reply: Reply) -> None:
        batch.answer(reply)
        if not batch.sessions and not batch.waiting:
            self._batches.discard(batch)

    def permit(self, batch: RunningBatch[Session], nodes: Sequence[str]) -> None:
        """The gate said yes to `nodes`."""
        now = monotonic()
        for node in nodes:
            session = batch.sessions.get(node)
            if session is not None and session.sends:
                self._follow(session, session.permit(now))

    def abandon(self, batch: RunningBatch[Session], nodes: Sequence[str] | None) -> None:
        """End `nodes` (None: all) with what is known."""
        if nodes is None:
            while batch.waiting:
                self._answer(batch, Replies(batch.waiting.popleft()).dropped())
        for node in tuple(batch.sessions) if nodes is None else nodes:
            session = batch.sessions.get(node)
            if session is not None:
                session.abandon()
                self._finish(session)


def _open_socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    for forced, plain in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_BYTES)
    return sock
