"""The simulator's sessions, datagram by datagram: logins, windows of sequence numbers, hostile input.

The console here shares lab.rmcp with the simulator; ipmitool, ipmipower and pyghmi are the judges of the
wire itself, in tests/integration/test_sim_tools.py.
"""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import rmcp
from lab.bmc import Bmc
from lab.session import SessionTable

SUITES = {suite.number: suite for suite in rmcp.SUITES}
RESET, STATUS = (0, 2, b"\x03"), (0, 1, b"")
ADMIN_LEVEL, CLOSE = (6, 0x3B, b"\x04"), 0x3C


class Refused(Exception):
    """A login ended with an RMCP+ status other than 0, or without an answer."""


class Console:
    """A console for one BMC that can log in and make sealed requests by hand."""

    def __init__(self, table: SessionTable, bmc: Bmc, number: int = 17) -> None:
        self.table, self.bmc, self.suite = table, bmc, SUITES[number]
        self.sid = b"\x01\x02\x03\x04"
        self.bmc_sid = b""
        self.sequence = 0
        self.now = 0.0

    def send(self, datagram: bytes) -> bytes | None:
        return self.table.handle(self.bmc, datagram, self.now)

    def step(self, kind: int, payload: bytes) -> bytes:
        answer = self.send(rmcp.plain_payload(kind, payload))
        if answer is None:
            raise Refused("silence")
        assert answer[5] == kind + 1 and answer[16] == payload[0]
        if answer[17]:
            raise Refused(answer[17])
        return answer[16:]

    def open(self) -> bytes:
        suite = self.suite
        numbers = (suite.authentication, suite.integrity, suite.confidentiality)
        wanted = b"".join(bytes((i, 0, 0, 8, n, 0, 0, 0)) for i, n in enumerate(numbers))
        self.bmc_sid = self.step(rmcp.OPEN_REQUEST, b"\x00\x04\x00\x00" + self.sid + wanted)[8:12]
        return self.bmc_sid

    def login(self, user: bytes = b"ADMIN", password: bytes = b"secret", role: int = 0x14) -> "Console":
        self.open()
        mine, name = os.urandom(16), bytes((role, len(user))) + user
        self.rakp1 = b"\x01\0\0\0" + self.bmc_sid + mine + bytes((role, 0, 0, len(user))) + user
        answer = self.step(rmcp.RAKP1, self.rakp1)
        theirs, guid, code = answer[8:24], answer[24:40], answer[40:]
        key = self.suite.key(password)
        if code != key.digest(self.sid + self.bmc_sid + mine + theirs + guid + name):
            raise Refused("RAKP 2 code")
        self.rakp3 = b"\x02\0\0\0" + self.bmc_sid + key.digest(theirs + self.sid + name)
        proof = self.step(rmcp.RAKP3, self.rakp3)[8:]
        sik = self.suite.key(key.digest(mine + theirs + name))
        assert proof == sik.digest(mine + self.bmc_sid + guid)[: self.suite.code_length]
        self.integrity = self.suite.key(sik.digest(b"\x01" * 20))
        self.aes = rmcp.Aes(sik.digest(b"\x02" * 20)[:16])
        return self

    def request(self, netfn: int, command: int, data: bytes, sequence: int | None = None) -> bytes:
        self.sequence = self.sequence + 1 if sequence is None else sequence
        head, body = bytes((0x20, netfn << 2)), bytes((0x81, 0x04, command)) + data
        message = head + bytes((rmcp.checksum(head),)) + body + bytes((rmcp.checksum(body),))
        sealed = self.aes.encrypt(message, os.urandom(16))
        number = int.from_bytes(self.bmc_sid, "little")
        return rmcp.seal(sealed, number, self.sequence, self.integrity, self.suite.code_length)

    def read(self, answer: bytes | None) -> bytes | None:
        if answer is None:
            return None
        size = self.suite.code_length
        assert self.integrity.digest(answer[4:-size])[:size] == answer[-size:]
        assert answer[6:10] == self.sid
        message = self.aes.decrypt(answer[16 : 16 + int.from_bytes(answer[14:16], "little")])
        assert message is not None and not sum(message[3:]) & 0xFF
        return message[6:-1]

    def ask(self, netfn: int, command: int, data: bytes, sequence: int | None = None) -> bytes | None:
        return self.read(self.send(self.request(netfn, command, data, sequence)))


def make(number: int = 17, powered: bool = True) -> Console:
    return Console(SessionTable(), Bmc("127.1.0.7", b"ADMIN", b"secret", powered), number)


@pytest.mark.parametrize("number", [3, 17])
def test_login_command_and_close(number: int) -> None:
    console = make(number).login()
    assert console.ask(*STATUS) == b"\x00\x21\x10\x00"
    assert console.ask(*RESET) == b"\xd4"
    assert console.ask(*ADMIN_LEVEL) == b"\x00\x04"
    assert console.ask(*RESET) == b"\x00"
    assert console.ask(6, CLOSE, b"\xff\xff\xff\xff") == b"\x87"
    assert console.ask(6, CLOSE, console.bmc_sid) == b"\x00"
    assert console.ask(*STATUS) is None
    assert len(console.table) == 0
    assert console.bmc.counters.executed == {"reset": 1}


@pytest.mark.parametrize("number", [3, 17])
def test_wrong_credentials_are_refused(number: int) -> None:
    with pytest.raises(Refused, match="RAKP 2 code"):
        make(number).login(password=b"other")
    with pytest.raises(Refused, match="13"):
        make(number).login(user=b"nobody")
    with pytest.raises(Refused, match="9"):
        make(number).login(role=0)
    console = make(number)
    console.bmc.faults.wrong_password = True
    with pytest.raises(Refused, match="RAKP 2 code"):
        console.login()
    assert console.bmc.counters.sessions == 0


def test_a_console_that_guesses_is_told_at_rakp_3() -> None:
    console = make()
    console.open()
    console.step(rmcp.RAKP1, b"\x01\0\0\0" + console.bmc_sid + bytes(16) + b"\x14\0\0\x05ADMIN")
    with pytest.raises(Refused, match="15"):
        console.step(rmcp.RAKP3, b"\x02\0\0\0" + console.bmc_sid + bytes(32))
    assert console.bmc.counters.refused_logins == 1
    assert len(console.table) == 0


def test_unknown_suites_are_refused_and_open_ones_are_chosen() -> None:
    console = make()
    wanted = b"\x00\x00\x00\x08%c\0\0\0\x01\x00\x00\x08%c\0\0\0\x02\x00\x00\x08%c\0\0\0"
    for numbers, status in (((2, 1, 1), 4), ((1, 2, 1), 5), ((3, 4, 0), 16)):
        with pytest.raises(Refused, match=str(status)):
            console.step(rmcp.OPEN_REQUEST, b"\0\x04\0\0abcd" + wanted % numbers)
    anything = b"".join(bytes((i, 0, 0, 0, 0, 0, 0, 0)) for i in range(3))
    assert console.step(rmcp.OPEN_REQUEST, b"\0\x04\0\0abcd" + anything)[16] == 3


def test_a_datagram_that_comes_twice_is_executed_once() -> None:
    console = make().login()
    console.ask(*ADMIN_LEVEL)
    reset = console.request(*RESET)
    assert console.read(console.send(reset)) == b"\x00"
    assert console.send(reset) is None
    counters = console.bmc.counters
    assert (counters.executed["reset"], counters.received["reset"], counters.repeats) == (1, 1, 1)
    # The same request under a new session sequence number is a new request: it is executed again.
    assert console.ask(*RESET) == b"\x00"
    assert counters.executed["reset"] == 2


def test_login_steps_that_come_twice_get_the_same_answers() -> None:
    console = make().login()
    assert console.step(rmcp.RAKP1, console.rakp1) == console.step(rmcp.RAKP1, console.rakp1)
    assert console.ask(*STATUS) is not None
    assert console.step(rmcp.RAKP3, console.rakp3)
    assert console.ask(*STATUS) is not None
    assert console.bmc.counters.sessions == 1
    # An active session cannot be ended or rekeyed from outside.
    assert console.send(rmcp.plain_payload(rmcp.RAKP3, console.rakp3[:-1] + b"?")) is None
    other = bytearray(console.rakp1)
    other[9] ^= 1
    assert console.send(rmcp.plain_payload(rmcp.RAKP1, bytes(other))) is None
    assert console.ask(*STATUS) is not None


@given(st.lists(st.integers(0, 60), max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_sequence_number_is_ever_accepted_twice(numbers: list[int]) -> None:
    console = make().login()
    accepted: list[int] = []
    for number in numbers:
        highest = max(accepted, default=0)
        answer = console.ask(*STATUS, sequence=number)
        expected = number > 0 and number not in accepted and -16 < number - highest <= 16
        assert (answer is not None) is expected
        if expected:
            accepted.append(number)


def test_a_session_belongs_to_one_bmc() -> None:
    console = make().login()
    console.bmc = Bmc("127.1.0.8", b"ADMIN", b"secret")
    assert console.ask(*STATUS) is None
    with pytest.raises(Refused):
        console.step(rmcp.RAKP3, console.rakp3)


def test_quiet_sessions_expire() -> None:
    console = make().login()
    console.now = 59.0
    assert console.ask(*STATUS) is not None
    assert console.table.expire(118.0) == 0
    assert console.table.expire(120.0) == 1
    assert console.ask(*STATUS) is None


def test_a_flood_of_open_requests_fills_the_table_and_no_more() -> None:
    console = make()
    console.table.most = 10
    for _ in range(10):
        console.open()
    with pytest.raises(Refused, match="1"):
        console.open()
    assert len(console.table) == 10
    console.table.expire(100.0)
    console.login()


def test_presence_ping() -> None:
    ping = bytes.fromhex("06 00 ff 06 00 00 11 be 80 2a 00 00")
    answer = make().send(ping)
    assert answer is not None
    assert answer == bytes.fromhex("0600ff06 000011be 402a0010 000011be 00000000 81 00 000000000000")


@pytest.mark.parametrize("wrap", ["legacy", "plus"])
def test_discovery_outside_a_session(wrap: str) -> None:
    def ask(command: int, data: bytes) -> bytes | None:
        body = bytes((0x81, 0, command)) + data
        message = b"\x20\x18\xc8" + body + bytes((rmcp.checksum(body),))
        packet = rmcp.legacy_message(message) if wrap == "legacy" else rmcp.plain_payload(0, message)
        answer = make().send(packet)
        return answer and answer[14 if wrap == "legacy" else 16 :][6:-1]

    assert ask(0x38, b"\x8e\x04") == b"\x00\x01\x80\x04\x02\0\0\0\0"
    assert ask(0x54, b"\x0e\x00\x80") == b"\x00\x01" + bytes.fromhex("c003014181c011034481")
    assert ask(0x54, b"\x0e\x00\x81") == b"\x00\x01"
    assert ask(0x3B, b"\x04") == b"\xc1"


def _genuine() -> list[bytes]:
    """One datagram of each kind that a real login makes, as seeds for hostile ones."""
    console = make().login()
    return [
        bytes.fromhex("0600ff06000011be802a0000"),
        rmcp.plain_payload(rmcp.OPEN_REQUEST, bytes(4) + b"abcd" + bytes(24)),
        rmcp.plain_payload(rmcp.RAKP1, console.rakp1),
        rmcp.plain_payload(rmcp.RAKP3, console.rakp3),
        console.request(*RESET),
        rmcp.legacy_message(bytes.fromhex("2018c88100388e04b5")),
    ]


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_hostile_datagrams_never_raise_and_never_act(data: st.DataObject) -> None:
    console = make().login()
    seed = data.draw(st.sampled_from([*_genuine(), console.request(*RESET), rmcp.RMCP_IPMI]))
    cut = seed[: data.draw(st.integers(0, len(seed)))]
    flips = data.draw(st.dictionaries(st.integers(0, 60), st.integers(0, 255), max_size=6))
    mangled = bytes(flips.get(at, byte) for at, byte in enumerate(cut)) + data.draw(st.binary(max_size=40))
    answer = console.send(mangled)
    assert answer is None or len(answer) < 200
    assert "reset" not in console.bmc.counters.executed


@given(st.binary(max_size=24), st.integers(0, 63), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_any_command_inside_a_session_gets_a_completion_code(data: bytes, netfn: int, command: int) -> None:
    console = make().login()
    console.ask(*ADMIN_LEVEL)
    if netfn % 2:
        assert console.ask(netfn, command, data) is None
    else:
        assert console.ask(netfn, command, data)


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_a_sealed_payload_of_any_content_never_raises(message: bytes) -> None:
    console = make().login()
    number, size = int.from_bytes(console.bmc_sid, "little"), console.suite.code_length
    console.send(rmcp.seal(message, number, 1, console.integrity, size))
    sealed = console.aes.encrypt(message, bytes(16))
    assert console.aes.decrypt(sealed) == message
    console.send(rmcp.seal(sealed, number, 2, console.integrity, size))
