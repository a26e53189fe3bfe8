"""The simulated BMC itself: power, boot options, faults and what it counts, without any network."""

import pytest

from lab.bmc import ADMIN, ALWAYS, NODE_BUSY, OK, OPERATOR, USER, WRONG_STATE, Bmc

CONTROL, STATUS, SET_BOOT, GET_BOOT = 2, 1, 8, 9
OFF, ON, CYCLE, RESET, NMI, SOFTOFF = range(6)


def make(powered: bool = True) -> Bmc:
    return Bmc("127.1.0.7", b"ADMIN", b"secret", powered)


def control(bmc: Bmc, code: int, now: float = 0.0, privilege: int = ADMIN) -> bytes | None:
    return bmc.command(0, CONTROL, bytes((code,)), privilege, now)


def status(bmc: Bmc, now: float = 0.0) -> bool:
    answer = bmc.command(0, STATUS, b"", USER, now)
    assert answer is not None and answer[0] == 0
    return bool(answer[1] & 1)


@pytest.mark.parametrize(
    ("powered", "code", "after", "word"),
    [
        (False, ON, True, "on"),
        (True, ON, True, "on"),
        (True, OFF, False, "off"),
        (True, SOFTOFF, False, "softoff"),
        (True, CYCLE, True, "cycle"),
        (True, RESET, True, "reset"),
        (True, NMI, True, "nmi"),
    ],
)
def test_control(powered: bool, code: int, after: bool, word: str) -> None:
    bmc = make(powered)
    assert control(bmc, code) == OK
    assert status(bmc) is after
    assert bmc.counters.received == {word: 1, "status": 1}
    assert bmc.counters.executed == {word: 1}


@pytest.mark.parametrize("code", [CYCLE, RESET, NMI, SOFTOFF])
def test_control_that_needs_a_running_node_is_refused_and_not_executed(code: int) -> None:
    bmc = make(powered=False)
    assert control(bmc, code) == WRONG_STATE
    assert bmc.counters.executed == {}
    assert sum(bmc.counters.received.values()) == 1


def test_unusual_requests_get_completion_codes() -> None:
    bmc = make()
    assert bmc.command(0, CONTROL, b"", ADMIN, 0) == b"\xc7"
    assert bmc.command(0, CONTROL, b"\x0f", ADMIN, 0) == b"\xcc"
    assert bmc.command(0x2C, 1, b"", ADMIN, 0) == b"\xc1"
    assert bmc.command(0, SET_BOOT, b"\x60\x00", ADMIN, 0) == b"\x80"
    assert bmc.command(0, SET_BOOT, b"\x05\x80", ADMIN, 0) == b"\xc7"
    assert bmc.command(0, GET_BOOT, b"\x60\x00\x00", ADMIN, 0) == b"\x80"
    assert bmc.command(0, GET_BOOT, b"\x05", ADMIN, 0) == b"\xc7"


def test_privilege_is_asked_before_anything_is_counted_or_done() -> None:
    bmc = make()
    assert control(bmc, OFF, privilege=USER) == b"\xd4"
    assert control(bmc, RESET, privilege=OPERATOR) == OK
    assert bmc.counters.received == {"reset": 1}
    assert status(bmc)


def test_busy_refuses_as_often_as_told_and_counts_what_it_refused() -> None:
    bmc = make()
    bmc.faults.busy = 2
    assert control(bmc, RESET) == NODE_BUSY
    assert bmc.command(0, STATUS, b"", USER, 0) == NODE_BUSY
    assert control(bmc, RESET) == OK
    assert bmc.counters.received == {"reset": 2, "status": 1}
    assert bmc.counters.executed == {"reset": 1}


def test_reply_lost_executes_and_says_nothing() -> None:
    bmc = make()
    bmc.faults.reply_lost = 1
    assert control(bmc, RESET) is None
    assert control(bmc, RESET) == OK
    assert bmc.counters.executed == {"reset": 2}
    bmc.faults.reply_lost = ALWAYS
    assert [control(bmc, OFF), status(bmc)] == [None, False]


def test_ignored_accepts_and_does_nothing() -> None:
    bmc = make()
    bmc.faults.ignored = True
    assert control(bmc, OFF) == OK
    assert bmc.command(0, SET_BOOT, bytes((5, 0x80, 4, 0, 0, 0)), ADMIN, 0) == OK
    assert status(bmc)
    assert bmc.counters.executed == {}
    assert bmc.command(0, GET_BOOT, b"\x05\x00\x00", ADMIN, 0) == b"\x00\x01\x05" + bytes(5)


def test_slow_transitions_happen_later_and_the_last_command_wins() -> None:
    bmc = make(powered=False)
    bmc.faults.slow = 5.0
    control(bmc, ON, now=100.0)
    assert [status(bmc, 104.9), status(bmc, 105.0)] == [False, True]
    control(bmc, CYCLE, now=200.0)
    assert [status(bmc, 200.0), status(bmc, 204.9), status(bmc, 205.0)] == [False, False, True]
    control(bmc, OFF, now=300.0)
    control(bmc, ON, now=301.0)
    assert [status(bmc, 305.5), status(bmc, 400.0)] == [True, True]


@pytest.mark.parametrize(("flags", "after"), [(0x80, "0004000000"), (0xC0, "c004000000")])
def test_a_boot_uses_the_device_once_unless_it_is_persistent(flags: int, after: str) -> None:
    bmc = make()
    assert bmc.command(0, SET_BOOT, bytes((5, flags, 4, 0, 0, 0)), ADMIN, 0) == OK
    control(bmc, RESET)
    seen = bmc.snapshot(0)
    assert (seen["booted_from"], seen["boots"], seen["boot_flags"]) == ("Network", 1, after)
    control(bmc, RESET)
    assert bmc.snapshot(0)["booted_from"] == ("Network" if flags & 0x40 else "BIOS default")


def test_the_password_is_in_no_text() -> None:
    assert "secret" not in repr(make()) + str(make().snapshot(0))
