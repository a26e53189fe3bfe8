"""Opening an RMCP+ session: Open Session and RAKP 1 to 4 as a state machine without socket or clock.

Suite 17 is proposed first and suite 3 where a BMC refuses it; administrator first and operator where a BMC
refuses that (IPMI 2.0 sections 13.17 to 13.24; the order is xCAT's).
"""

from typing import NamedTuple

from drivers.bmc import wire
from drivers.bmc.chassis import ADMINISTRATOR, OPERATOR
from drivers.bmc.contract import Reply, Target
from drivers.bmc.replies import RAKP_MEANING, Replies

#: A BMC short of session slots, or one that lost track of a retransmission: it may work on another try.
_PASSING = frozenset({0x01, 0x02, 0x08, 0x0B})
_ROLE_REFUSED = frozenset({0x09, 0x0A, 0x0D})
_NAME_REFUSED = frozenset({0x0C, 0x0D, 0x0A, 0x09})
_BAD_INTEGRITY = 0x0F


class Setback(NamedTuple):
    """This try failed, a later one may not; `reply` is the answer when none does."""

    reply: Reply


class Handshake:
    """The way to one open session."""

    __slots__ = (
        "_exchange",
        "_expected",
        "_replies",
        "_sid",
        "_suite",
        "_tag",
        "_target",
        "packet",
        "privilege",
    )

    def __init__(self, target: Target, sid: bytes, replies: Replies) -> None:
        self._target = target
        self._sid = sid
        self._replies = replies
        self._suite = wire.SUITE_17
        self.privilege = ADMINISTRATOR
        # The first exchange has tag 0: some BMCs answer 0 whatever they were sent.
        self._tag = -1
        self._expected = 0
        self._exchange: wire.Exchange | None = None
        #: The datagram that waits for an answer.
        self.packet = b""

    @property
    def opening(self) -> bool:
        """Whether the BMC has not answered the Open Session Request yet."""
        return self._expected == wire.OPEN_RESPONSE

    def restart(self) -> bytes:
        """Begin from the Open Session Request; answers to what was sent before are ignored from now on."""
        self._tag = (self._tag + 1) & 0xFF
        self._exchange = None
        return self._expect(wire.OPEN_RESPONSE, wire.open_request(self._tag, self._sid, self._suite))

    def receive(self, datagram: bytes) -> bytes | wire.Seal | Reply | Setback | None:
        """The next datagram, the keys of the open session, an end, or None for what is not ours."""
        if datagram[5] != self._expected:
            return None
        payload = wire.setup_payload(datagram)
        if len(payload) < 2 or payload[0] != self._tag:
            return None
        status = payload[1]
        # Only an error may be cut short before the session id (table 13-10, 13-12).
        if payload[4:8] != self._sid and (status == 0 or len(payload) >= 8):
            return None
        if self._expected == wire.OPEN_RESPONSE:
            return self._on_open(status, payload)
        if self._exchange is None:
            return None
        if self._expected == wire.RAKP2:
            return self._on_rakp2(self._exchange, status, payload)
        return self._on_rakp4(self._exchange, status, payload)

    def _expect(self, answer: int, packet: bytes) -> bytes:
        self._expected = answer
        self.packet = packet
        return packet

    def _on_open(self, status: int, payload: bytes) -> bytes | Reply | Setback | None:
        if status in _PASSING:
            return Setback(self._replies.refused(RAKP_MEANING[status]))
        if status == 0 and len(payload) < 36:
            return None
        if status or not wire.agrees(payload, self._suite):
            return self._other_suite(RAKP_MEANING.get(status, "it chose another cipher suite than asked"))
        target = self._target
        self._exchange = wire.Exchange(
            self._suite, target.username, target.password, self.privilege, self._sid, payload[8:12]
        )
        return self._expect(wire.RAKP2, self._exchange.rakp1(self._tag))

    def _other_suite(self, reason: str) -> bytes | Reply:
        if self._suite is wire.SUITE_3:
            return self._replies.foreign(f"no session with cipher suite 17 or 3: {reason}")
        self._suite = wire.SUITE_3
        return self.restart()

    def _on_rakp2(
        self, exchange: wire.Exchange, status: int, payload: bytes
    ) -> bytes | Reply | Setback | None:
        if status:
            return self._rejected(status)
        if len(payload) < 40 + self._suite.digest_size:
            return None
        if exchange.accept_rakp2(payload):
            return self._expect(wire.RAKP4, exchange.rakp3(self._tag))
        if self._suite is wire.SUITE_17 and not any(payload[40:]):
            # Seen by xCAT: BMCs that accept suite 17 and then cannot do it.
            return self._other_suite("")
        return self._replies.wrong_password()

    def _on_rakp4(
        self, exchange: wire.Exchange, status: int, payload: bytes
    ) -> bytes | wire.Seal | Reply | Setback | None:
        if status == _BAD_INTEGRITY:
            # A BMC that answered a repeated RAKP1 with new numbers says this too.
            return Setback(self._replies.wrong_password())
        if status:
            return self._rejected(status)
        return exchange.accept_rakp4(payload)

    def _rejected(self, status: int) -> bytes | Reply | Setback:
        if status in _ROLE_REFUSED and self.privilege == ADMINISTRATOR:
            self.privilege = OPERATOR
            return self.restart()
        if status in _NAME_REFUSED:
            return self._replies.unauthorized(status)
        refusal = self._replies.refused(RAKP_MEANING.get(status, f"RAKP status {status:02X}h"))
        return Setback(refusal) if status in _PASSING else refusal
