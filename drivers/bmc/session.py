"""One conversation with one BMC as a state machine: datagram or timer in, datagram or reply out.

No socket, and the clock is a parameter. A conversation opens a session, reads, asks for permission where
the node would change, sends what was permitted, and ends. What cannot be repeated leaves here once.
"""

from collections.abc import Callable
from math import inf
from secrets import token_bytes
from typing import Any

from core.power import Done, may_repeat
from drivers.bmc import wire
from drivers.bmc.chassis import (
    ADMINISTRATOR,
    BUSY,
    LEVEL_REFUSED,
    LEVEL_TOO_LOW,
    OPERATOR,
    READ_BOOT,
    READ_STATUS,
    Order,
    Plan,
    Request,
    close_request,
    meaning,
    privilege_request,
    read_back_value,
)
from drivers.bmc.contract import Reply, Target, Timing, Verdict
from drivers.bmc.handshake import Handshake
from drivers.bmc.replies import Replies

#: Sends of one request after which a BMC is only retried at `Timing.timeout_s`.
FAST_SENDS = 3
#: Sends after which nobody waits for it: other conversations begin, and its own goes on beside them. One
#: answer puts that right, so that a lost datagram does no harm.
QUIET_SENDS = 2
#: A session that waits for permission is kept open by a read so often; BMCs close idle ones after 60 s.
KEEPALIVE_S = 10.0
MAX_RESTARTS = 12
_FIRST_BACKOFF_S = 0.2


class Pace:
    """How long an answer is waited for: some times what answers take, so that a slow machine is no storm."""

    __slots__ = ("_mean", "wait_s")

    FLOOR_S, CEILING_S = 0.3, 2.0

    def __init__(self) -> None:
        self._mean = 0.0
        self.wait_s = self.FLOOR_S

    def sample(self, seconds: float) -> None:
        """One round trip took `seconds`."""
        self._mean += (seconds - self._mean) / 32
        self.wait_s = min(max(self.FLOOR_S, 4 * self._mean), self.CEILING_S)


class Session:
    """One conversation. `receive`, `expired` and `permit` give the datagram to send next, or None.

    After each of them the caller looks at `reply` (the end), `asking` (ask the gate), `changing` (the
    datagram changes the node: look at the clock, send, then call `mark_sent`), `slow` and `due`.
    """

    __slots__ = (
        "_answered", "_at_user_level", "_backoff", "_handshake", "_heard", "_message", "_offers_2_0",
        "_order", "_pace", "_parked", "_permitted", "_plan", "_probed", "_replies", "_restarts",
        "_resume", "_rq_seq", "_seal", "_sent_at", "_sequence", "_setback", "_step", "_then", "_timing",
        "_tries", "_want", "asking", "changing", "counted_slow", "due", "node", "owner", "queued",
        "reply", "sent", "sid", "slow", "sockaddr", "socket",
    )  # fmt: skip

    def __init__(
        self,
        target: Target,
        order: Order,
        timing: Timing,
        pace: Pace,
        owner: Any = None,
        socket: Any = None,
        sockaddr: Any = None,
    ) -> None:
        self.node = target.node
        # The engine's own notes; nothing here looks at them.
        self.owner, self.socket, self.sockaddr = owner, socket, sockaddr
        self.queued, self.counted_slow = inf, False
        self.sid = token_bytes(4)
        self.due = 0.0
        self.asking = self.changing = self.slow = False
        self.reply: Reply | None = None
        self.sent = ""
        self._replies = Replies(target)
        self._handshake: Handshake | None = Handshake(target, self.sid, self._replies)
        self._order, self._timing, self._pace = order, timing, pace
        self._at_user_level = order.at_user_level
        self._seal: wire.Seal | None = None
        self._plan: Plan | None = None
        self._step = 0
        self._answered = self._parked = self._permitted = self._probed = self._offers_2_0 = False
        self._setback: Reply | None = None
        self._resume: Callable[[float], bytes | None] | None = None
        self._then: Callable[[int, bytes, float], bytes | None] = self._got_privilege
        self._want: tuple[int, int, int] | None = None
        self._message = b""
        self._sequence = self._rq_seq = self._tries = self._restarts = self._backoff = 0
        self._heard = self._sent_at = 0.0

    # -- what the engine calls ---------------------------------------------------------------------

    def start(self, target: Target, now: float) -> bytes | None:
        """The first datagram, or None with a reply where the credentials fit no IPMI 2.0 session."""
        self._heard = now
        if len(target.username) > wire.MAX_USERNAME:
            return self._end(self._replies.unusable("the BMC user name is longer than 16 bytes"))
        if len(target.password) > wire.MAX_PASSWORD:
            return self._end(self._replies.unusable("the BMC password is longer than 20 bytes"))
        return self._restart(now)

    def receive(self, datagram: bytes, now: float) -> bytes | None:
        """Take one datagram from the BMC's address; anything that is not its answer changes nothing."""
        if len(datagram) < 18 or self.reply is not None:
            return None
        if datagram[4] != 6:
            return self._on_capabilities(datagram, now) if datagram[4] == 0 else None
        if self._seal is not None:
            return self._on_message(self._seal, datagram, now) if datagram[5] == wire.SEALED_MESSAGE else None
        if self._handshake is None or self._resume is not None:
            return None
        return self._on_handshake(self._handshake, datagram, now)

    def expired(self, now: float) -> bytes | None:
        """`due` has passed without an answer."""
        if self._parked:
            return self._keep_alive(now)
        if now - self._heard >= self._timing.deadline_s and (self._tries >= FAST_SENDS or self._resume):
            return self._give_up()
        if self._resume is not None:
            resume, self._resume = self._resume, None
            return resume(now)
        self._setback = None
        self._tries += 1
        self.slow = self.slow or self._tries >= QUIET_SENDS
        # Twice as long each time, as far as the slow lane's pace; a BMC that has answered is asked sooner.
        fast = self._pace.wait_s * 2 ** (self._tries - 1)
        most = 4 * self._pace.wait_s if self._answered else self._timing.timeout_s
        wait = min(fast, most, self._timing.timeout_s)
        last = max(self._heard + self._timing.deadline_s, now + self._pace.wait_s)
        self.due = min(now + wait, last)
        return self._send_again(now)

    def permit(self, now: float) -> bytes | None:
        """The gate said yes; where the session is being opened again, it goes on from there."""
        self._permitted = True
        return self._advance(now) if self._parked else None

    def mark_sent(self) -> None:
        """The datagram given out with `changing` has left."""
        if self._plan is not None:
            self.sent = self._plan.sends

    def abandon(self) -> None:
        """End now, with what is known."""
        self._end(self._replies.lost(self.sent) if self.sent else self._replies.dropped())

    def unsendable(self, reason: str) -> None:
        """A datagram that would have changed the node was refused by this machine's network."""
        self._end(self._replies.lost(self.sent) if self.sent else self._replies.unsent(reason))

    def farewell(self) -> bytes | None:
        """Forget keys and credentials; the datagram that closes the session, if one is open."""
        packet = None
        if self._seal is not None:
            packet = self._seal.seal(self._encode(close_request(self._seal.bmc_sid)), self._sequence + 1)
        self._seal = self._handshake = self._resume = None
        self._then = _nothing
        return packet

    # -- sending -----------------------------------------------------------------------------------

    def _out(self, packet: bytes, now: float) -> bytes:
        self._tries = 1
        self._sent_at = now
        self.due = now + self._pace.wait_s
        return packet

    def _request(
        self, request: Request, then: Callable[[int, bytes, float], bytes | None], now: float
    ) -> bytes | None:
        self._parked = False
        self._then = then
        self._message = self._encode(request)
        self._want = (request.netfn + 1 << 2, self._rq_seq << 2, request.command)
        packet = self._sealed()
        return self._out(packet, now) if packet else None

    def _encode(self, request: Request) -> bytes:
        self._rq_seq = (self._rq_seq + 1) & 0x3F
        return wire.request_message(request.netfn, request.command, request.data, self._rq_seq)

    def _sealed(self) -> bytes | None:
        # A repeated request needs a session sequence number of its own: BMCs drop those they have seen.
        if self._seal is None:
            return None
        self._sequence += 1
        return self._seal.seal(self._message, self._sequence)

    def _send_again(self, now: float) -> bytes | None:
        if self.changing:
            return self._sealed() if self._plan and may_repeat(self._plan.sends) else None
        if self._seal is None and self._handshake is not None and self._handshake.opening:
            # An IPMI 1.5 BMC is deaf to the Open Session Request, but answers this.
            self._probed = self._tries % 2 == 1
            return wire.AUTH_CAP_REQUEST if self._probed else self._handshake.packet
        if self._tries <= FAST_SENDS:
            return self._handshake.packet if self._seal is None and self._handshake else self._sealed()
        return self._restart(now)

    def _restart(self, now: float) -> bytes | None:
        self._restarts += 1
        if self._handshake is None or self._restarts > MAX_RESTARTS:
            return self._give_up()
        self._seal = self._want = None
        self._sequence = 0
        return self._out(self._handshake.restart(), now)

    # -- receiving ---------------------------------------------------------------------------------

    def _progress(self, now: float) -> None:
        if self._tries == 1:
            self._pace.sample(now - self._sent_at)
        self._heard = now
        self._answered = True
        self.slow = False
        self._setback = None

    def _on_handshake(self, handshake: Handshake, datagram: bytes, now: float) -> bytes | None:
        result = handshake.receive(datagram)
        if result is None:
            return None
        if isinstance(result, bytes):
            self._progress(now)
            return self._out(result, now)
        if isinstance(result, wire.Seal):
            self._progress(now)
            self._seal = result
            return self._ready(now) if self._at_user_level else self._raise_level(handshake, now)
        if isinstance(result, Reply):
            return self._end(result)
        return self._set_back(result.reply, self._restart, now)

    def _on_capabilities(self, datagram: bytes, now: float) -> bytes | None:
        handshake = self._handshake
        if not self._probed or handshake is None or self._seal is not None or not handshake.opening:
            return None
        answer = wire.speaks_2_0(datagram)
        if answer is None:
            return None
        self._probed = False
        if not answer:
            return self._end(self._replies.foreign("it speaks IPMI 1.5 only"))
        self._offers_2_0 = True
        return handshake.packet

    def _on_message(self, seal: wire.Seal, datagram: bytes, now: float) -> bytes | None:
        message = seal.unseal(datagram)
        if message is None or self._want != (message[1] & 0xFC, message[4] & 0xFC, message[5]):
            return None
        self._want = None
        code = message[6]
        if code == BUSY and not (self.changing and self._plan and not may_repeat(self._plan.sends)):
            return self._set_back(self._replies.refused(meaning(code), self.sent), self._repeat, now)
        self._progress(now)
        return self._then(code, message[7:-1], now)

    def _repeat(self, now: float) -> bytes | None:
        # The same question under a new rqSeq, so that an answer to the old one is not taken for it.
        self._rq_seq = (self._rq_seq + 1) & 0x3F
        head, command = self._message[1] >> 2, self._message[5]
        return self._request(Request(head, command, self._message[6:-1]), self._then, now)

    def _set_back(self, reply: Reply, resume: Callable[[float], bytes | None], now: float) -> bytes | None:
        self._setback, self._resume = reply, resume
        self.due = now + min(_FIRST_BACKOFF_S * 2**self._backoff, self._timing.timeout_s)
        self._backoff += 1
        # Who is busy for long holds up nobody else.
        self.slow = self._backoff >= FAST_SENDS
        return None

    # -- the conversation --------------------------------------------------------------------------

    def _raise_level(self, handshake: Handshake, now: float) -> bytes | None:
        return self._request(privilege_request(handshake.privilege), self._got_privilege, now)

    def _got_privilege(self, code: int, data: bytes, now: float) -> bytes | None:
        handshake = self._handshake
        if handshake is not None and code in LEVEL_REFUSED and handshake.privilege == ADMINISTRATOR:
            handshake.privilege = OPERATOR
            return self._raise_level(handshake, now)
        if code:
            return self._end(
                self._replies.refused(f"{meaning(code)} while requesting the operator privilege")
            )
        return self._ready(now)

    def _ready(self, now: float) -> bytes | None:
        if self._plan is None:
            return self._request(self._order.read, self._got_state, now)
        return self._advance(now) if self._permitted else self._park(now)

    def _got_state(self, code: int, data: bytes, now: float) -> bytes | None:
        if code == LEVEL_TOO_LOW and self._at_user_level and self._handshake is not None:
            # Against the specification, and easily mended.
            self._at_user_level = False
            return self._raise_level(self._handshake, now)
        judged = self._order.judge(data) if code == 0 else None
        if judged is None:
            return self._end(self._replies.refused(meaning(code) if code else "the answer is too short"))
        if isinstance(judged, Done):
            return self._end(self._replies.ok(judged.value))
        self._plan = judged
        self.asking = True
        return self._park(now)

    def _park(self, now: float) -> bytes | None:
        self._parked = True
        # Before others are given up: where all have fallen silent, nothing is sent to those that still wait.
        self.due = now + min(KEEPALIVE_S, self._timing.deadline_s / 2)
        return None

    def _keep_alive(self, now: float) -> bytes | None:
        self._heard = now
        return self._request(READ_STATUS, lambda code, data, now: self._ready(now), now)

    @property
    def sends(self) -> str:
        """What the gate is asked for."""
        return self._plan.sends if self._plan is not None else ""

    def _advance(self, now: float) -> bytes | None:
        plan = self._plan
        assert plan is not None
        self.changing = self._step < len(plan.requests)
        if self.changing:
            return self._request(plan.requests[self._step], self._got_change, now)
        if plan.read_back:
            return self._request(READ_BOOT, self._got_back, now)
        return self._end(self._replies.ok(plan.value, self.sent))

    def _got_change(self, code: int, data: bytes, now: float) -> bytes | None:
        assert self._plan is not None
        if code and not self._plan.requests[self._step].optional:
            return self._end(self._replies.completed(code, self.sent))
        self._step += 1
        return self._advance(now)

    def _got_back(self, code: int, data: bytes, now: float) -> bytes | None:
        assert self._plan is not None
        return self._end(self._replies.ok(read_back_value(self._plan, code, data), self.sent))

    def _give_up(self) -> bytes | None:
        if self._setback is not None:
            return self._end(self._setback)
        if self.sent:
            return self._end(self._replies.lost(self.sent, self._timing))
        if self._offers_2_0 and self._handshake is not None and self._handshake.opening:
            return self._end(self._replies.foreign("it offers IPMI 2.0 and opens no session"))
        return self._end(self._replies.silent(self._timing))

    def _end(self, reply: Reply) -> bytes | None:
        if self.sent and reply.verdict in (Verdict.FOREIGN, Verdict.WAY):
            # A session that was opened again after the command must not say that nothing was sent.
            reply = self._replies.lost(self.sent, self._timing)
        self.reply = reply
        self.changing = self.asking = False
        return None


def _nothing(code: int, data: bytes, now: float) -> None:
    """The continuation of a conversation that ended."""
