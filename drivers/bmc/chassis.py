"""What rpower and rsetboot say to a chassis, whichever driver carries it (IPMI 2.0 section 28).

An order is one read and what follows from its answer: a value at once, or a plan of commands that change
the node. Where xCAT's ipmi.pm and the specification leave a choice, xCAT's is taken.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core.bootdev import INACTIVE, LABEL, SELECTOR, BootDevice, BootRequest
from core.power import CONTROL_CODE, Action, Done, Refuse, decide
from drivers.bmc.contract import Command


class Request(NamedTuple):
    """One IPMI request; an optional one may be refused without harm to the rest."""

    netfn: int
    command: int
    data: bytes = b""
    optional: bool = False


READ_STATUS = Request(0, 1)
READ_BOOT = Request(0, 9, b"\x05\x00\x00")

ADMINISTRATOR, OPERATOR = 4, 3
#: Completion code of a BMC that cannot do it now.
BUSY = 0xC0
#: Set Session Privilege refuses the level with these.
LEVEL_REFUSED = frozenset({0x80, 0x81})
#: A command that needs a higher level than the session has.
LEVEL_TOO_LOW = 0xD4

#: The BMC took the command and cannot say what became of it.
DOUBTFUL = frozenset({0xC3, 0xCE})

#: Meaning of completion codes (table 5-2).
_MEANING = {
    0xC0: "Node busy",
    0xC1: "Invalid command",
    0xC2: "Command invalid for given LUN",
    0xC3: "Timeout while processing command",
    0xC4: "Out of space",
    0xC5: "Reservation canceled or invalid reservation ID",
    0xC6: "Request data truncated",
    0xC7: "Request data length invalid",
    0xC8: "Request data field length limit exceeded",
    0xC9: "Parameter out of range",
    0xCA: "Cannot return number of requested data bytes",
    0xCB: "Requested sensor, data, or record not present",
    0xCC: "Invalid data field in request",
    0xCD: "Command illegal for specified sensor or record type",
    0xCE: "Command response could not be provided",
    0xCF: "Cannot execute duplicated request",
    0xD0: "SDR repository in update mode",
    0xD1: "Device in firmware update mode",
    0xD2: "BMC initialization in progress",
    0xD3: "Destination unavailable",
    0xD4: "Insufficient privilege level",
    0xD5: "Command not supported in present state",
    0xD6: "Command sub-function disabled or unavailable",
    0xFF: "Unspecified error",
}


def meaning(code: int) -> str:
    """IPMI's words for a completion code."""
    return _MEANING.get(code) or f"Unknown IPMI error {code:02X}h"


def privilege_request(level: int) -> Request:
    """Set Session Privilege Level (section 22.18)."""
    return Request(6, 0x3B, bytes((level,)))


def close_request(bmc_sid: bytes) -> Request:
    """Close Session (section 22.19)."""
    return Request(6, 0x3C, bmc_sid)


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests that change the node, in order; `sends` is what the gate is asked for, `value` the result."""

    sends: str
    requests: tuple[Request, ...]
    value: str
    #: Whether the boot device is read again afterwards and printed instead of `value`.
    read_back: bool = False


class Order(Protocol):
    """One command as a read and a judgement of its answer."""

    read: Request
    #: Whether IPMI has such a command; when not, nothing is asked and `judge` is never called.
    offered: bool
    #: Whether the user level, at which every session begins (section 22.18), is enough for all of it.
    at_user_level: bool

    def judge(self, data: bytes) -> Done | Plan | None:
        """What the answer means; None when it is too short to mean anything."""


class PowerOrder:
    """A power action."""

    read = READ_STATUS

    def __init__(self, action: Action) -> None:
        self._action = action
        self.offered = action not in (Action.SUSPEND, Action.WAKE)
        # Get Chassis Status is for users, Chassis Control for operators (appendix G).
        self.at_user_level = action is Action.STAT

    def judge(self, data: bytes) -> Done | Plan | None:
        """Bit 0 of the first byte is the power state (section 28.2)."""
        if not data:
            return None
        decision = decide(self._action, bool(data[0] & 1))
        assert not isinstance(decision, Refuse), "only suspend is refused, and IPMI offers none"
        if isinstance(decision, Done):
            return decision
        control = Request(0, 2, bytes((CONTROL_CODE[decision.control],)))
        return Plan(decision.control.value, (control,), decision.value)


class BootOrder:
    """A boot device request."""

    read = READ_BOOT
    offered = True
    at_user_level = False

    def __init__(self, request: BootRequest) -> None:
        self._request = request

    def judge(self, data: bytes) -> Done | Plan | None:
        """Asking ends here; setting does not depend on what is in force."""
        if self._request.device is not BootDevice.STAT:
            return self._plan()
        label = boot_label(data)
        return Done(label) if label is not None else None

    def _plan(self) -> Plan:
        device = self._request.device
        flags = bytes((5, self._valid_bits(), SELECTOR[device] << 2, 0, 0, 0))
        requests = (
            # Keep the override for longer than 60 s; many BMCs do not know this parameter.
            Request(0, 8, b"\x03\x08", optional=True),
            Request(0, 8, b"\x00\x01", optional=True),
            Request(0, 8, flags),
            Request(0, 8, b"\x00\x00", optional=True),
        )
        value = INACTIVE if device is BootDevice.DEFAULT else LABEL[SELECTOR[device]]
        return Plan("setboot", requests, value, read_back=True)

    def _valid_bits(self) -> int:
        # As xCAT: `default` takes the override back instead of overriding with the default.
        if self._request.device is BootDevice.DEFAULT:
            return 0
        return 0x80 | self._request.persistent << 6 | self._request.uefi << 5


def order_of(command: Command) -> Order:
    """The order that carries out `command`."""
    return PowerOrder(command) if isinstance(command, Action) else BootOrder(command)


def boot_label(data: bytes) -> str | None:
    """The label of the override in boot option 5 (table 28-14); None when the answer is too short."""
    if len(data) < 4:
        return None
    if not data[2] & 0x80:
        return INACTIVE
    selector = data[3] >> 2 & 0x0F
    return LABEL.get(selector, f"Unknown boot device {selector}")


def read_back_value(plan: Plan, code: int, data: bytes) -> str:
    """What is printed after a boot device was set: read back, or what was set where a BMC shows none."""
    label = boot_label(data) if code == 0 else None
    return plan.value if label is None or label == INACTIVE else label
