"""One simulated BMC: power, boot options, faults and counters, and the commands that act on them.

Pure: no socket and no clock, `now` is always handed in (seconds, monotonic). Command numbers and completion
codes are those of IPMI 2.0 chapters 20, 22 and 28 and table 5-2.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from core.bootdev import LABEL
from core.power import CONTROL_CODE

CONTROL_WORD = {code: control.value for control, code in CONTROL_CODE.items()}

OK = b"\x00"
NODE_BUSY = b"\xc0"
INVALID_COMMAND = b"\xc1"
BAD_LENGTH = b"\xc7"
BAD_FIELD = b"\xcc"
NO_PRIVILEGE = b"\xd4"
WRONG_STATE = b"\xd5"
NO_SUCH_PARAMETER = b"\x80"

CALLBACK, USER, OPERATOR, ADMIN = 1, 2, 3, 4

NETFN_CHASSIS, NETFN_APP = 0, 6
#: Set System Boot Options parameters that are kept, with their lengths (table 28-14).
BOOT_PARAMETERS = {0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 5, 6: 3, 7: 1}
BOOT_FLAGS = 5

#: A count that never runs out.
ALWAYS = -1


@dataclass(slots=True)
class Faults:
    """What is wrong with a BMC or its network; all zero means nothing is.

    `loss` and `duplicate` are fractions of datagrams, each way on its own. `busy` and `reply_lost` are
    numbers of commands still to be hit, ALWAYS for every one: busy refuses chassis commands with C0h,
    reply_lost executes commands that change the node and keeps the answer. `deaf_to` is the one source
    address whose datagrams do not arrive: a BMC that another service node still reaches.
    """

    latency: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    silent: bool = False
    deaf_to: str = ""
    wrong_password: bool = False
    busy: int = 0
    reply_lost: int = 0
    slow: float = 0.0
    ignored: bool = False

    def take(self, name: str) -> bool:
        """Whether the counted fault `name` hits now; uses one up."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0


@dataclass(slots=True)
class Counters:
    """What a BMC saw: `received` and `executed` by command word, and totals.

    `received` counts commands that reached the BMC inside a session, `executed` those that it then carried
    out; a datagram that the session layer knows already is in `repeats` and in neither.
    """

    received: dict[str, int] = field(default_factory=dict)
    executed: dict[str, int] = field(default_factory=dict)
    datagrams: int = 0
    answers: int = 0
    repeats: int = 0
    commands: int = 0
    sessions: int = 0
    refused_logins: int = 0


@dataclass(slots=True)
class Bmc:
    """One BMC. `address` is its dotted IPv4 address; the password is bytes and never printed."""

    address: str
    user: bytes
    password: bytes = field(repr=False)
    powered: bool = False
    faults: Faults = field(default_factory=Faults)
    counters: Counters = field(default_factory=Counters)
    boots: int = 0
    booted_from: int = 0
    #: The 16 bytes that name this BMC, made from its address.
    guid: bytes = field(init=False)
    _pending: tuple[tuple[float, bool], ...] = ()
    _options: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.guid = b"serval-lab\0\0" + bytes(int(part) for part in self.address.split("."))

    def power(self, now: float) -> bool:
        """The chassis state at `now`, after the slow transitions that are due."""
        while self._pending and self._pending[0][0] <= now:
            self._turn(self._pending[0][1])
            self._pending = self._pending[1:]
        return self.powered

    def set_power(self, on: bool) -> None:
        """Put the chassis into a state by hand, as a person at the button."""
        self._pending = ()
        self._turn(on)

    def reset_counters(self) -> None:
        """Count from zero again."""
        self.counters = Counters()

    def snapshot(self, now: float) -> dict[str, Any]:
        """Everything about this BMC but its credentials, as JSON values."""
        return {
            "power": "on" if self.power(now) else "off",
            "boots": self.boots,
            "booted_from": LABEL.get(self.booted_from, str(self.booted_from)),
            "boot_flags": self._options.get(BOOT_FLAGS, bytes(5)).hex(),
            "faults": asdict(self.faults),
            "counters": asdict(self.counters),
        }

    def command(self, netfn: int, number: int, data: bytes, privilege: int, now: float) -> bytes | None:
        """Run one command of a session; the completion code and data, None when no answer shall leave."""
        self.counters.commands += 1
        handler = _COMMANDS.get(netfn << 8 | number)
        if handler is None:
            return INVALID_COMMAND
        needed, run = handler
        if privilege < needed:
            return NO_PRIVILEGE
        if netfn == NETFN_CHASSIS and self.faults.busy and self.faults.take("busy"):
            word = CONTROL_WORD.get(data[0] & 0x0F) if number == 2 and data else None
            self._count(self.counters.received, word or _WORDS.get(number, "other"))
            return NODE_BUSY
        return run(self, data, now)

    def _turn(self, on: bool) -> None:
        if on and not self.powered:
            self._boot()
        self.powered = on

    def _boot(self) -> None:
        """The firmware starts: it reads the boot flags and clears them unless they are persistent."""
        self.boots += 1
        flags = self._options.get(BOOT_FLAGS, bytes(5))
        valid, persistent = flags[0] & 0x80, flags[0] & 0x40
        self.booted_from = flags[1] >> 2 & 0x0F if valid else 0
        if valid and not persistent:
            self._options[BOOT_FLAGS] = bytes((flags[0] & 0x7F,)) + flags[1:]

    def _count(self, counts: dict[str, int], word: str) -> None:
        counts[word] = counts.get(word, 0) + 1

    def _chassis_capabilities(self, data: bytes, now: float) -> bytes:
        return OK + b"\x00\x20\x20\x20\x20"

    def _chassis_status(self, data: bytes, now: float) -> bytes:
        received = self.counters.received
        received["status"] = received.get("status", 0) + 1
        return b"\x00\x21\x10\x00" if self.power(now) else b"\x00\x20\x00\x00"

    def _chassis_control(self, data: bytes, now: float) -> bytes | None:
        if not data:
            return BAD_LENGTH
        word = CONTROL_WORD.get(data[0] & 0x0F)
        if word is None:
            return BAD_FIELD
        self._count(self.counters.received, word)
        if word not in ("on", "off") and not self.power(now):
            return WRONG_STATE
        if not self.faults.ignored:
            self._count(self.counters.executed, word)
            self._transition(word, now)
        return None if self.faults.reply_lost and self.faults.take("reply_lost") else OK

    def _transition(self, word: str, now: float) -> None:
        """Carry out a chassis control: at once, or `slow` seconds later."""
        slow = self.faults.slow
        match word:
            case "on":
                self._pending = ((now + slow, True),)
            case "off" | "softoff":
                self._pending = ((now + slow, False),)
            case "cycle":
                self._pending = ((now, False), (now + slow, True))
            case "reset":
                self._boot()
        self.power(now)

    def _chassis_identify(self, data: bytes, now: float) -> bytes:
        return OK

    def _set_boot_options(self, data: bytes, now: float) -> bytes | None:
        if not data:
            return BAD_LENGTH
        self._count(self.counters.received, "setboot")
        number, value = data[0] & 0x7F, data[1:]
        length = BOOT_PARAMETERS.get(number)
        if length is None:
            return NO_SUCH_PARAMETER
        if value and len(value) != length:
            return BAD_LENGTH
        if not self.faults.ignored:
            self._count(self.counters.executed, "setboot")
            if value:
                self._options[number] = value
        return None if self.faults.reply_lost and self.faults.take("reply_lost") else OK

    def _get_boot_options(self, data: bytes, now: float) -> bytes:
        if len(data) != 3:
            return BAD_LENGTH
        self._count(self.counters.received, "getboot")
        number = data[0] & 0x7F
        if number not in BOOT_PARAMETERS:
            return NO_SUCH_PARAMETER
        value = self._options.get(number, bytes(BOOT_PARAMETERS[number]))
        return OK + bytes((1, number)) + value

    def _device_id(self, data: bytes, now: float) -> bytes:
        # Device 20h, revision 1, firmware 1.00, IPMI 2.0, a chassis device, no manufacturer and product 1.
        return OK + b"\x20\x01\x01\x00\x02\x80\x00\x00\x00\x01\x00"

    def _self_test(self, data: bytes, now: float) -> bytes:
        return OK + b"\x55\x00"

    def _system_guid(self, data: bytes, now: float) -> bytes:
        return OK + self.guid


#: Words under which `received` counts chassis commands that were refused before they were read.
_WORDS = {1: "status", 2: "control", 8: "setboot", 9: "getboot"}

_Handler = tuple[int, Callable[[Bmc, bytes, float], bytes | None]]
#: By netfn and command number: the privilege it needs (appendix G) and what it does.
_COMMANDS: dict[int, _Handler] = {
    0x0000: (USER, Bmc._chassis_capabilities),
    0x0001: (USER, Bmc._chassis_status),
    0x0002: (OPERATOR, Bmc._chassis_control),
    0x0004: (OPERATOR, Bmc._chassis_identify),
    0x0008: (OPERATOR, Bmc._set_boot_options),
    0x0009: (OPERATOR, Bmc._get_boot_options),
    0x0601: (USER, Bmc._device_id),
    0x0604: (USER, Bmc._self_test),
    0x0637: (USER, Bmc._system_guid),
}
