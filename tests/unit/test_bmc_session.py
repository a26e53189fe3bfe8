"""The conversation with a BMC, with the clock in hand; the BMC is the simulator's, without any socket."""

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bootdev import BootDevice, BootRequest
from core.power import Action
from drivers.bmc import wire
from drivers.bmc.chassis import order_of
from drivers.bmc.contract import Command, Target, Timing, Verdict
from drivers.bmc.session import Pace, Session
from lab.bmc import NO_PRIVILEGE, OPERATOR, Bmc
from lab.session import SessionTable

TARGET = Target("n1", "127.1.0.1", b"ADMIN", b"secret")
TIMING = Timing(timeout_s=3.0, retries=5)


class Conversation:
    """A session and its BMC; `left` are the datagrams that left, in order."""

    def __init__(self, command: Command, powered: bool = True, target: Target = TARGET) -> None:
        self.bmc = Bmc("127.1.0.1", b"ADMIN", b"secret", powered)
        self.table = SessionTable()
        self.now = 100.0
        self.session = Session(target, order_of(command), TIMING, Pace())
        self.left: list[bytes] = []
        self.changing_left = 0
        self.next = self.session.start(target, self.now)
        self._note(self.next)

    def _note(self, packet: bytes | None) -> None:
        if packet is not None:
            self.left.append(packet)
            if self.session.changing:
                self.changing_left += 1
                self.session.mark_sent()

    def answer(self) -> bytes | None:
        """What the BMC says to the datagram that left last."""
        return self.table.handle(self.bmc, self.next, self.now) if self.next is not None else None

    def deliver(self, datagram: bytes | None) -> None:
        self.now += 0.01
        self.next = self.session.receive(datagram, self.now) if datagram is not None else None
        self._note(self.next)

    def talk(self, steps: int = 20) -> None:
        """Let both sides talk until one has nothing to say."""
        for _ in range(steps):
            if self.next is None:
                return
            self.deliver(self.answer())

    def expire(self) -> None:
        """Nobody answers until the timer fires."""
        self.now = self.session.due
        self.next = self.session.expired(self.now)
        self._note(self.next)

    def permit(self) -> None:
        self.session.asking = False
        self.next = self.session.permit(self.now)
        self._note(self.next)


def changes(conversation: Conversation, word: str) -> int:
    return conversation.bmc.counters.received.get(word, 0)


def test_status_takes_four_datagrams_and_a_farewell() -> None:
    conversation = Conversation(Action.STAT)
    conversation.talk()
    assert conversation.session.reply is not None
    assert (conversation.session.reply.verdict, conversation.session.reply.text) == (Verdict.OK, "on")
    assert len(conversation.left) == 4
    farewell = conversation.session.farewell()
    assert farewell is not None
    conversation.table.handle(conversation.bmc, farewell, conversation.now)
    assert len(conversation.table) == 0


class Strict(Bmc):
    """A BMC that shows users nothing."""

    def command(self, netfn: int, number: int, data: bytes, privilege: int, now: float) -> bytes | None:
        return NO_PRIVILEGE if privilege < OPERATOR else super().command(netfn, number, data, privilege, now)


def test_a_bmc_that_shows_users_nothing_is_asked_as_operator() -> None:
    conversation = Conversation(Action.STAT)
    conversation.bmc = Strict("127.1.0.1", b"ADMIN", b"secret", True)
    conversation.talk()
    assert conversation.session.reply is not None
    assert (conversation.session.reply.verdict, conversation.session.reply.text) == (Verdict.OK, "on")
    assert len(conversation.left) == 6


def test_credentials_are_forgotten() -> None:
    conversation = Conversation(Action.STAT)
    conversation.talk()
    conversation.session.farewell()
    kept = [getattr(conversation.session, name) for name in Session.__slots__]
    assert not any(isinstance(each, Target | wire.Seal | wire.Exchange | wire.Mac) for each in kept)
    assert "secret" not in repr(kept)


def test_a_reset_is_one_datagram_ever() -> None:
    conversation = Conversation(Action.RESET)
    conversation.talk()
    assert conversation.session.asking
    assert conversation.session.sends == "reset"
    before = len(conversation.left)
    conversation.permit()
    while conversation.session.reply is None:
        conversation.expire()
    assert len(conversation.left) == before + 1
    assert conversation.session.reply.verdict is Verdict.LOST
    assert conversation.session.reply.sent == "reset"
    assert conversation.now >= 100 + TIMING.deadline_s


def test_what_may_be_repeated_is_repeated_with_new_sequence_numbers() -> None:
    conversation = Conversation(Action.OFF)
    conversation.talk()
    conversation.permit()
    conversation.expire()
    conversation.expire()
    assert len({packet[10:14] for packet in conversation.left[-3:]}) == 3
    conversation.talk()
    assert conversation.session.reply is not None
    assert conversation.session.reply.text == "off"
    assert changes(conversation, "off") == 1


def test_a_permit_that_comes_late_finds_the_session_open() -> None:
    conversation = Conversation(Action.RESET)
    conversation.talk()
    for _ in range(20):
        conversation.expire()
        conversation.talk()
    assert conversation.now > 100 + 20 * TIMING.deadline_s / 2
    conversation.permit()
    conversation.talk()
    assert conversation.session.reply is not None
    assert conversation.session.reply.verdict is Verdict.OK
    assert changes(conversation, "reset") == 1


def test_a_bmc_that_fell_silent_while_it_was_waited_for_is_sent_nothing() -> None:
    conversation = Conversation(Action.RESET)
    conversation.talk()
    conversation.expire()  # the read that keeps the session open
    conversation.permit()
    while conversation.session.reply is None:
        conversation.expire()
    assert conversation.session.reply.verdict is Verdict.WAY
    assert (conversation.session.sent, conversation.changing_left) == ("", 0)


def test_a_session_lost_while_waiting_is_opened_again_without_asking_again() -> None:
    conversation = Conversation(Action.RESET)
    conversation.talk()
    conversation.session.asking = False
    conversation.table = SessionTable()
    for _ in range(6):
        conversation.expire()
        conversation.talk()
    assert not conversation.session.asking
    assert conversation.session.reply is None
    conversation.permit()
    conversation.talk()
    assert conversation.session.reply is not None
    assert conversation.session.reply.verdict is Verdict.OK
    assert changes(conversation, "reset") == 1


def test_a_permit_in_the_middle_of_opening_again_is_kept() -> None:
    conversation = Conversation(Action.RESET)
    conversation.talk()
    conversation.session.asking = False
    conversation.table = SessionTable()
    for _ in range(3):
        conversation.expire()
    assert conversation.session.permit(conversation.now) is None
    assert changes(conversation, "reset") == 0
    for _ in range(4):
        conversation.talk()
        if conversation.session.reply is None:
            conversation.expire()
    assert changes(conversation, "reset") == 1


def test_nobody_waits_for_a_silent_bmc_and_one_answer_puts_that_right() -> None:
    conversation = Conversation(Action.STAT)
    conversation.expire()
    assert conversation.session.slow
    conversation.deliver(conversation.answer())
    assert not conversation.session.slow


def test_silence_is_found_at_the_deadline_and_after_the_fast_pass() -> None:
    conversation = Conversation(Action.STAT)
    conversation.expire()
    assert conversation.session.slow
    assert conversation.now < 101.0
    while conversation.session.reply is None:
        conversation.expire()
    assert conversation.session.reply.verdict is Verdict.WAY
    assert conversation.now == pytest.approx(100 + TIMING.deadline_s)
    assert 5 <= len(conversation.left) <= 9


def test_a_bmc_without_sha256_is_asked_for_suite_3() -> None:
    conversation = Conversation(Action.STAT)
    refusal = bytes((0, 0x11, 0, 0)) + conversation.session.sid
    conversation.deliver(wire.setup_datagram(wire.OPEN_RESPONSE, refusal))
    assert conversation.left[-1][16 + 12] == wire.SUITE_3.authentication
    conversation.talk()
    assert conversation.session.reply is not None
    assert conversation.session.reply.text == "on"


def test_no_suite_in_common_is_foreign() -> None:
    conversation = Conversation(Action.STAT)
    for tag in (0, 1):
        refusal = bytes((tag, 0x11, 0, 0)) + conversation.session.sid
        conversation.deliver(wire.setup_datagram(wire.OPEN_RESPONSE, refusal))
    assert conversation.session.reply is not None
    assert conversation.session.reply.verdict is Verdict.FOREIGN


def test_ipmi_1_5_is_foreign() -> None:
    conversation = Conversation(Action.STAT)
    while conversation.left[-1] != wire.AUTH_CAP_REQUEST:
        conversation.expire()
    message = bytes((0x81, 0x1C, 0x63, 0x20, 0, 0x38, 0, 1, 0x04, 0, 0, 0, 0, 0, 0, 0))
    conversation.deliver(b"\x06\x00\xff\x07" + bytes(9) + bytes((len(message),)) + message)
    assert conversation.session.reply is not None
    assert conversation.session.reply.verdict is Verdict.FOREIGN


def test_operator_where_administrator_is_refused() -> None:
    conversation = Conversation(Action.STAT)
    conversation.deliver(conversation.answer())
    assert conversation.left[-1][16 + 24] == 0x14
    refusal = bytes((0, 0x0A, 0, 0)) + conversation.session.sid
    conversation.deliver(wire.setup_datagram(wire.RAKP2, refusal))
    conversation.deliver(conversation.answer())
    assert conversation.left[-1][16 + 24] == 0x13
    conversation.talk()
    assert conversation.session.reply is not None
    assert conversation.session.reply.text == "on"


@pytest.mark.parametrize("target", [Target("n1", "h", b"u" * 17, b""), Target("n1", "h", b"u", b"p" * 21)])
def test_credentials_too_long(target: Target) -> None:
    conversation = Conversation(Action.STAT, target=target)
    assert conversation.left == []
    assert conversation.session.reply is not None
    assert conversation.session.reply.error == "BmcAuthError"


@given(st.binary(max_size=64), st.binary(max_size=200), st.sampled_from(["sha1", "sha256"]))
def test_mac_is_hmac(key: bytes, text: bytes, name: str) -> None:
    assert wire.Mac(key, name)(text) == hmac.digest(key, text, name)


def _last_stage(command: Command) -> int:
    """How many answers come before the one that says what was asked; only the power state needs no level."""
    return 3 if command is Action.STAT else 4


COMMANDS = st.sampled_from([Action.STAT, Action.ON, Action.RESET, BootRequest(BootDevice.STAT)])


@settings(max_examples=300, deadline=None)
@given(COMMANDS, st.integers(0, 5), st.lists(st.binary(max_size=120), max_size=6), st.data())
def test_strangers_are_ignored(command: Command, stage: int, noise: list[bytes], data: st.DataObject) -> None:
    """Random bytes, also behind a real header, neither raise nor end the conversation well."""
    conversation = Conversation(command)
    last = _last_stage(command)
    for _ in range(stage):
        conversation.deliver(conversation.answer())
    answer = conversation.answer()
    for each in noise:
        if data.draw(st.booleans()) and answer is not None:
            each = answer[: data.draw(st.integers(4, 24))] + each
        asking = conversation.session.asking
        conversation.session.receive(each, conversation.now)
        reply = conversation.session.reply
        assert reply is None or reply.verdict is not Verdict.OK or stage > last
        assert conversation.session.asking == asking


@settings(max_examples=500, deadline=None)
@given(COMMANDS, st.integers(0, 4), st.data())
def test_altered_answers_never_succeed(command: Command, stage: int, data: st.DataObject) -> None:
    """One altered byte of any answer: no exception; of a sealed one: no effect at all."""
    conversation = Conversation(command, powered=True)
    stage = min(stage, _last_stage(command))
    for _ in range(stage):
        conversation.deliver(conversation.answer())
    answer = conversation.answer()
    assert answer is not None
    place = data.draw(st.integers(4, len(answer) - 1))
    altered = answer[:place] + bytes((answer[place] ^ data.draw(st.integers(1, 255)),)) + answer[place + 1 :]
    altered = altered[: data.draw(st.integers(len(altered) // 2, len(altered)))]
    tries = conversation.session.receive(altered, conversation.now)
    reply = conversation.session.reply
    assert reply is None or reply.verdict is not Verdict.OK
    assert not conversation.session.asking
    if stage >= 3:
        assert tries is None
        assert reply is None
        conversation.deliver(answer)
        conversation.talk()
        reply = conversation.session.reply
        assert conversation.session.asking or (reply is not None and reply.verdict is Verdict.OK)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["deliver", "deliver", "deliver", "expire", "again", "permit", "new table"]),
        max_size=40,
    )
)
def test_any_order_of_events_resets_at_most_once(events: list[str]) -> None:
    conversation = Conversation(Action.RESET)
    last: bytes | None = None
    asked = 0
    for event in events:
        if conversation.session.reply is not None:
            break
        if event == "deliver":
            last = conversation.table.handle(conversation.bmc, conversation.left[-1], conversation.now)
            conversation.deliver(last)
        elif event == "again":
            conversation.deliver(last)
        elif event == "expire":
            conversation.expire()
        elif event == "new table":
            conversation.table = SessionTable()
        elif event == "permit" and asked:
            conversation.permit()
        if conversation.session.asking:
            asked += 1
            conversation.session.asking = False
    assert asked <= 1
    assert conversation.changing_left <= asked
    assert conversation.bmc.counters.executed.get("reset", 0) <= 1
    if conversation.session.reply is not None and conversation.bmc.counters.executed.get("reset"):
        assert conversation.session.reply.sent == "reset"
