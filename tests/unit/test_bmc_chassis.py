"""What is said to a chassis, byte by byte (IPMI 2.0 section 28, xCAT's rsetboot)."""

import pytest

from core.bootdev import BootDevice, BootRequest
from core.power import Action, Done
from drivers.bmc.chassis import Plan, boot_label, meaning, order_of, read_back_value


@pytest.mark.parametrize(
    ("request_", "flags"),
    [
        (BootRequest(BootDevice.NET), "0580040000000000"),
        (BootRequest(BootDevice.HD, persistent=True), "05c0080000"),
        (BootRequest(BootDevice.CD, uefi=True), "05a0140000"),
        (BootRequest(BootDevice.BIOS, persistent=True, uefi=True), "05e0180000"),
        (BootRequest(BootDevice.DEFAULT, persistent=True), "0500000000"),
    ],
)
def test_boot_flags(request_: BootRequest, flags: str) -> None:
    plan = order_of(request_).judge(b"")
    assert isinstance(plan, Plan)
    (flag_request,) = [each for each in plan.requests if not each.optional]
    assert (flag_request.netfn, flag_request.command) == (0, 8)
    assert flag_request.data == bytes.fromhex(flags)[:5] + b"\0"
    assert plan.sends == "setboot"


@pytest.mark.parametrize(
    ("data", "label"),
    [
        ("0105800400", "Network"),
        ("0105c03c00", "Floppy"),
        ("0105001400", "boot override inactive"),
        ("0105800000", "BIOS default"),
        ("0105802c00", "Unknown boot device 11"),
        ("010580", None),
        ("", None),
    ],
)
def test_boot_label(data: str, label: str | None) -> None:
    assert boot_label(bytes.fromhex(data)) == label


def test_what_was_set_is_printed_where_nothing_can_be_read_back() -> None:
    plan = order_of(BootRequest(BootDevice.HD)).judge(b"")
    assert isinstance(plan, Plan)
    assert read_back_value(plan, 0xCC, b"") == "Hard Drive"
    assert read_back_value(plan, 0, bytes(5)) == "Hard Drive"
    assert read_back_value(plan, 0, bytes.fromhex("0105800400")) == "Network"


def test_power() -> None:
    assert order_of(Action.STAT).judge(b"\x01\x00\x00") == Done("on")
    assert order_of(Action.STAT).judge(b"\x60\x00\x00") == Done("off")
    assert order_of(Action.STAT).judge(b"") is None
    plan = order_of(Action.BOOT).judge(b"\x00\x00\x00")
    assert isinstance(plan, Plan)
    assert (plan.sends, plan.value, plan.requests[0].data) == ("on", "on", b"\x01")


@pytest.mark.parametrize(("command", "offered"), [
    (Action.SUSPEND, False), (Action.WAKE, False), (Action.STAT, True), (Action.NMI, True),
    (BootRequest(BootDevice.STAT), True),
])  # fmt: skip
def test_ipmi_has_neither_suspend_nor_wake(command: Action | BootRequest, offered: bool) -> None:
    assert order_of(command).offered is offered


def test_completion_codes() -> None:
    assert meaning(0xCC) == "Invalid data field in request"
    assert meaning(0x93) == "Unknown IPMI error 93h"
