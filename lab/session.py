"""Sessions of all simulated BMCs: discovery, Open Session, RAKP 1 to 4, and sealed messages (IPMI 2.0, 13).

Pure but for the random numbers: a datagram, its BMC and the time go in, the answer or None comes out.
Whatever is not well formed gets no answer, as from a real BMC, and never raises.
"""

import secrets
from collections.abc import Callable
from functools import lru_cache
from struct import unpack_from

from lab import rmcp
from lab.bmc import ADMIN, BAD_FIELD, BAD_LENGTH, NETFN_APP, OK, USER, Bmc
from lab.discovery import DISCOVERY, answer_outside

#: RMCP+ status codes (table 13-15).
_OK, _NO_RESOURCES, _BAD_SESSION, _BAD_AUTHENTICATION, _BAD_INTEGRITY = 0x00, 0x01, 0x02, 0x04, 0x05
_BAD_ROLE, _BAD_NAME, _BAD_CODE, _BAD_CONFIDENTIALITY = 0x09, 0x0D, 0x0F, 0x10

_SET_PRIVILEGE, _CLOSE = 0x3B, 0x3C

#: How far a session sequence number may run ahead of, or lag behind, the highest seen (section 6.12.13).
_AHEAD, _BEHIND = 16, 16
#: What a BMC whose password is another one than the tables say answers with.
_OTHER_PASSWORD = secrets.token_bytes(20)


class Session:
    """One session between a console and one BMC; its keys are None until RAKP 3 was right."""

    __slots__ = (
        "aes", "bmc", "console", "console_random", "highest", "integrity", "privilege", "proof", "random",
        "role", "seen", "sent", "suite", "touched", "user",
    )  # fmt: skip

    def __init__(self, bmc: Bmc, suite: rmcp.Suite, console: bytes, now: float) -> None:
        self.bmc = bmc
        self.suite = suite
        self.console = console
        self.touched = now
        self.random = secrets.token_bytes(16)
        self.console_random = b""
        self.role = 0
        self.user = b""
        self.proof = b""
        self.integrity: rmcp.HmacKey | None = None
        self.aes: rmcp.Aes | None = None
        self.privilege = USER
        self.highest = 0
        self.seen = 0
        self.sent = 0

    def fresh(self, sequence: int) -> bool:
        """Whether `sequence` is new and inside the window; marks it as seen."""
        ahead = sequence - self.highest
        if ahead > 0:
            if ahead > _AHEAD:
                return False
            self.seen = (self.seen << ahead | 1) & 0x1FFFF
            self.highest = sequence
            return True
        if ahead <= -_BEHIND or sequence == 0 or self.seen >> -ahead & 1:
            return False
        self.seen |= 1 << -ahead
        return True


@lru_cache(maxsize=256)
def _password_key(suite: rmcp.Suite, password: bytes) -> rmcp.HmacKey:
    return suite.key(password)


def _user_key(session: Session) -> rmcp.HmacKey:
    bmc = session.bmc
    return _password_key(session.suite, _OTHER_PASSWORD if bmc.faults.wrong_password else bmc.password)


def _activate(session: Session, session_key: bytes, number: bytes, now: float) -> None:
    """Derive the keys (13.32) and what RAKP 4 proves (13.23): that this BMC holds the session key too."""
    suite, bmc = session.suite, session.bmc
    key = suite.key(session_key)
    session.integrity = suite.key(key.digest(b"\x01" * 20))
    session.aes = rmcp.Aes(key.digest(b"\x02" * 20)[:16])
    session.proof = key.digest(session.console_random + number + bmc.guid)[: suite.code_length]
    session.touched = now
    bmc.counters.sessions += 1


class SessionTable:
    """Every open session of every BMC, `most` in all. Not thread-safe: one loop owns it."""

    def __init__(self, lifetime_s: float = 60.0, most: int = 1000) -> None:
        self.lifetime_s = lifetime_s
        self.most = most
        self._sessions: dict[int, Session] = {}
        self._last_id = secrets.randbits(30)
        self._setup: dict[int, Callable[[Bmc, bytes, float], bytes | None]] = {
            rmcp.OPEN_REQUEST: self._open,
            rmcp.RAKP1: self._rakp1,
            rmcp.RAKP3: self._rakp3,
        }

    def __len__(self) -> int:
        return len(self._sessions)

    def expire(self, now: float) -> int:
        """Forget sessions whose console has been quiet for `lifetime_s`; how many that were."""
        limit = now - self.lifetime_s
        dead = [number for number, session in self._sessions.items() if session.touched < limit]
        for number in dead:
            del self._sessions[number]
        return len(dead)

    def handle(self, bmc: Bmc, datagram: bytes, now: float) -> bytes | None:
        """What `bmc` answers to `datagram`, or None."""
        if len(datagram) > 32 and datagram[5] == rmcp.SEALED_IPMI and datagram[4] == rmcp.AUTH_RMCP_PLUS:
            return self._sealed(bmc, datagram, now)
        if len(datagram) < 12 or datagram[0] != 6:
            return None
        if datagram[3] == 6:
            return rmcp.pong(datagram)
        if datagram[3] != 7:
            return None
        if datagram[4] == rmcp.AUTH_RMCP_PLUS:
            return self._unsealed(bmc, datagram, now)
        return self._legacy(datagram)

    def _legacy(self, datagram: bytes) -> bytes | None:
        """An IPMI 1.5 packet: only discovery outside a session is served."""
        if len(datagram) < 21 or datagram[4] != 0 or any(datagram[5:13]) or len(datagram) < 14 + datagram[13]:
            return None
        message = datagram[14 : 14 + datagram[13]]
        answer = answer_outside(message)
        return None if answer is None else rmcp.legacy_message(answer)

    def _unsealed(self, bmc: Bmc, datagram: bytes, now: float) -> bytes | None:
        """An RMCP+ packet without integrity code: session set-up, or discovery."""
        if len(datagram) < 16 or any(datagram[6:14]):
            return None
        payload = datagram[16:]
        if len(payload) < int.from_bytes(datagram[14:16], "little"):
            return None
        payload = payload[: int.from_bytes(datagram[14:16], "little")]
        kind = datagram[5]
        if kind == 0:
            answer = answer_outside(payload)
        else:
            step = self._setup.get(kind)
            answer = step(bmc, payload, now) if step else None
        return None if answer is None else rmcp.plain_payload(kind and kind + 1, answer)

    def _open(self, bmc: Bmc, payload: bytes, now: float) -> bytes | None:
        """Open Session Request (13.17): any of the two suites, each algorithm as proposed or left open."""
        if len(payload) < 32:
            return None
        console = payload[4:8]
        status, suite = _choose(payload) if len(self._sessions) < self.most else (_NO_RESOURCES, None)
        if suite is None:
            return bytes((payload[0], status, 0, 0)) + console
        self._last_id = self._last_id % 0xFFFFFFFE + 1
        self._sessions[self._last_id] = Session(bmc, suite, console, now)
        algorithms = (suite.authentication, suite.integrity, suite.confidentiality)
        chosen = b"".join(bytes((i, 0, 0, 8, number, 0, 0, 0)) for i, number in enumerate(algorithms))
        return bytes((payload[0], _OK, ADMIN, 0)) + console + self._last_id.to_bytes(4, "little") + chosen

    def _rakp1(self, bmc: Bmc, payload: bytes, now: float) -> bytes | None:
        """RAKP 1 (13.20), answered by RAKP 2; one that is sent again gets the same answer."""
        if len(payload) < 28 or len(payload) < 28 + payload[27]:
            return None
        session = self._sessions.get(int.from_bytes(payload[4:8], "little"))
        if session is None or session.bmc is not bmc:
            return bytes((payload[0], _BAD_SESSION, 0, 0)) + bytes(4)
        user, role = payload[28 : 28 + payload[27]], payload[24]
        if session.proof and (payload[8:24], role, user) != (
            session.console_random,
            session.role,
            session.user,
        ):
            return None
        if user != bmc.user:
            return self._refuse(session, payload, _BAD_NAME)
        if not 1 <= role & 0x0F <= ADMIN:
            return self._refuse(session, payload, _BAD_ROLE)
        session.console_random, session.role, session.user = payload[8:24], role, user
        session.touched = now
        # Signed are SIDm, SIDc, Rm, Rc and so on; payload[4:24] is SIDc and Rm as they came.
        code = _user_key(session).digest(
            session.console + payload[4:24] + session.random + bmc.guid + bytes((role, len(user))) + user
        )
        return bytes((payload[0], _OK, 0, 0)) + session.console + session.random + bmc.guid + code

    def _rakp3(self, bmc: Bmc, payload: bytes, now: float) -> bytes | None:
        """RAKP 3 (13.22): with the right code the session is active, and RAKP 4 says so."""
        if len(payload) < 8:
            return None
        session = self._sessions.get(int.from_bytes(payload[4:8], "little"))
        if session is None or session.bmc is not bmc or not session.console_random:
            return bytes((payload[0], _BAD_SESSION, 0, 0)) + bytes(4)
        if payload[1]:
            self._forget(payload[4:8])
            return None
        name = bytes((session.role, len(session.user))) + session.user
        key = _user_key(session)
        if key.digest(session.random + session.console + name) != payload[8:]:
            return None if session.proof else self._refuse(session, payload, _BAD_CODE)
        if not session.proof:
            _activate(session, key.digest(session.console_random + session.random + name), payload[4:8], now)
        return bytes((payload[0], _OK, 0, 0)) + session.console + session.proof

    def _refuse(self, session: Session, payload: bytes, status: int) -> bytes:
        session.bmc.counters.refused_logins += 1
        self._forget(payload[4:8])
        return bytes((payload[0], status, 0, 0)) + session.console

    def _forget(self, number: bytes) -> None:
        self._sessions.pop(int.from_bytes(number, "little"), None)

    def _sealed(self, bmc: Bmc, datagram: bytes, now: float) -> bytes | None:
        """A message of an active session: checked, counted once, executed, answered."""
        number, sequence, length = unpack_from("<IIH", datagram, 6)
        session = self._sessions.get(number)
        if session is None or session.bmc is not bmc:
            return None
        integrity, aes, size = session.integrity, session.aes, session.suite.code_length
        if integrity is None or aes is None or integrity.digest(datagram[4:-size])[:size] != datagram[-size:]:
            return None
        if not session.fresh(sequence):
            bmc.counters.repeats += 1
            return None
        message = aes.decrypt(datagram[16 : 16 + length])
        if message is None or not rmcp.well_formed(message):
            return None
        session.touched = now
        answer = self._command(session, number, message, now)
        if answer is None:
            return None
        session.sent += 1
        sealed = aes.encrypt(rmcp.response(message, answer), secrets.token_bytes(16))
        return rmcp.seal(sealed, int.from_bytes(session.console, "little"), session.sent, integrity, size)

    def _command(self, session: Session, number: int, message: bytes, now: float) -> bytes | None:
        netfn, command, data = message[1] >> 2, message[5], message[6:-1]
        if netfn == NETFN_APP:
            if command == _SET_PRIVILEGE:
                return _set_privilege(session, data)
            if command == _CLOSE:
                return self._close(number, data)
            if command in DISCOVERY:
                return DISCOVERY[command](data)
        return session.bmc.command(netfn, command, data, session.privilege, now)

    def _close(self, number: int, data: bytes) -> bytes:
        if len(data) < 4:
            return BAD_LENGTH
        if int.from_bytes(data[:4], "little") != number:
            return b"\x87"
        del self._sessions[number]
        return OK


def _choose(payload: bytes) -> tuple[int, rmcp.Suite | None]:
    """The suite an Open Session Request proposes, or the status that refuses it."""
    numbers = [payload[at + 4] & 0x3F if payload[at + 3] else None for at in (8, 16, 24)]
    authentication, integrity, confidentiality = numbers
    suite = rmcp.SUITE_BY_AUTHENTICATION.get(3 if authentication is None else authentication)
    if suite is None:
        return _BAD_AUTHENTICATION, None
    if integrity not in (None, suite.integrity):
        return _BAD_INTEGRITY, None
    if confidentiality not in (None, suite.confidentiality):
        return _BAD_CONFIDENTIALITY, None
    return _OK, suite


def _set_privilege(session: Session, data: bytes) -> bytes:
    """Set Session Privilege Level (22.18); level 0 only asks."""
    if not data:
        return BAD_LENGTH
    level = data[0] & 0x0F
    if level == 1 or level > ADMIN:
        return BAD_FIELD
    if level > session.role & 0x0F:
        return b"\x81"
    session.privilege = level or session.privilege
    return OK + bytes((session.privilege,))
