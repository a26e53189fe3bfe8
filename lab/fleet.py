"""The simulated BMCs of one process, and what may be asked of them (the requests of the control socket).

A request is a JSON object with "op" and, where BMCs are meant, "where": "all", an address, a range
"127.1.0.1-127.1.0.9", or a list of those. The answer has "ok": true, or "ok": false and "error".
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import RequestError
from lab.bmc import ALWAYS, Bmc, Faults
from lab.session import SessionTable

#: Most BMCs in one process; each costs about a kilobyte.
MOST_BMCS = 250_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a simulator is: `count` BMCs on consecutive IPv4 addresses from `base`, all on one UDP port.

    Port 0 takes a free one. `control` is a Unix socket path, or "127.0.0.1:PORT" for TCP on loopback.
    """

    count: int = 1
    base: str = "127.1.0.1"
    port: int = 0
    user: bytes = b"ADMIN"
    password: bytes = field(default=b"ADMIN", repr=False)
    powered: bool = False
    control: str | None = None
    session_s: float = 60.0
    seed: int | None = None
    #: Faults to start with: where, and fields of lab.bmc.Faults; later ones win.
    faults: tuple[tuple[str, Json], ...] = ()

    def addresses(self) -> list[str]:
        """Every BMC's address, in order.

        Raises RequestError when base or count is not usable.
        """
        if not 1 <= self.count <= MOST_BMCS:
            raise RequestError(f"count {self.count}: a simulator holds 1 to {MOST_BMCS} BMCs")
        try:
            first = ipaddress.IPv4Address(self.base)
            return [str(first + index) for index in range(self.count)]
        except ipaddress.AddressValueError as error:
            raise RequestError(
                f"base {self.base!r} cannot hold {self.count} IPv4 addresses: {error}"
            ) from None


class Fleet:
    """All BMCs by address, their sessions, and `execute`. Not thread-safe: one loop owns it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = settings.port
        self.bmcs = {
            address: Bmc(address, settings.user, settings.password, settings.powered)
            for address in settings.addresses()
        }
        self.sessions = SessionTable(settings.session_s, most=1000 + 4 * settings.count)
        #: Datagrams to an address that is no BMC of ours.
        self.strays = 0
        for where, changes in settings.faults:
            self._set_faults(where, changes)

    def execute(self, request: object, now: float) -> Json:
        """The answer to one control request; what is wrong with it is said in the answer, never raised."""
        try:
            if not isinstance(request, dict):
                raise RequestError("a control request is a JSON object")
            operation = _OPERATIONS.get(str(request.get("op")))
            if operation is None:
                raise RequestError(f"unknown op {request.get('op')!r}; known: {', '.join(_OPERATIONS)}")
            return {"ok": True} | operation(self, request, now)
        except RequestError as error:
            return {"ok": False, "error": error.message}

    def select(self, where: object) -> Iterator[Bmc]:
        """The BMCs that `where` means, in order.

        Raises RequestError for an address that is no BMC of this fleet.
        """
        for word in where if isinstance(where, list) else [where]:
            if word == "all":
                yield from self.bmcs.values()
                continue
            first, _, last = str(word).partition("-")
            yield from self._range(str(word), first, last or first)

    def _range(self, word: str, first: str, last: str) -> Iterator[Bmc]:
        try:
            start, end = int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last))
        except ipaddress.AddressValueError as error:
            raise RequestError(f"{word!r} is not an address or a range of addresses: {error}") from None
        if end < start or end - start >= MOST_BMCS:
            raise RequestError(f"{word!r} is not a range that goes up by at most {MOST_BMCS} addresses")
        for number in range(start, end + 1):
            address = str(ipaddress.IPv4Address(number))
            if address not in self.bmcs:
                raise RequestError(f"{address} is no BMC of this simulator")
            yield self.bmcs[address]

    def _hello(self, request: Json, now: float) -> Json:
        return {"port": self.port, "base": self.settings.base, "count": self.settings.count}

    def _faults(self, request: Json, now: float) -> Json:
        return {"bmcs": self._set_faults(request.get("where"), request.get("set"))}

    def _set_faults(self, where: object, values: object) -> int:
        changes = check_faults(values)
        chosen = list(self.select(where))
        for bmc in chosen:
            for name, value in changes.items():
                setattr(bmc.faults, name, value)
        return len(chosen)

    def _heal(self, request: Json, now: float) -> Json:
        chosen = list(self.select(request.get("where")))
        for bmc in chosen:
            bmc.faults = Faults()
        return {"bmcs": len(chosen)}

    def _power(self, request: Json, now: float) -> Json:
        on = request.get("on")
        if not isinstance(on, bool):
            raise RequestError(f"power: 'on' is true or false, not {on!r}")
        chosen = list(self.select(request.get("where")))
        for bmc in chosen:
            bmc.set_power(on)
        return {"bmcs": len(chosen)}

    def _credentials(self, request: Json, now: float) -> Json:
        user, password = request.get("user"), request.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise RequestError("credentials: 'user' and 'password' are strings")
        secret = check_credentials(_bytes(user), _bytes(password))
        chosen = list(self.select(request.get("where")))
        for bmc in chosen:
            bmc.user, bmc.password = secret
        return {"bmcs": len(chosen)}

    def _state(self, request: Json, now: float) -> Json:
        chosen = self.select(request.get("where", "all"))
        return {"bmcs": {bmc.address: bmc.snapshot(now) for bmc in chosen}}

    def _counters(self, request: Json, now: float) -> Json:
        chosen = self.select(request.get("where", "all"))
        return {"bmcs": {bmc.address: asdict(bmc.counters) for bmc in chosen}}

    def _reset(self, request: Json, now: float) -> Json:
        chosen = list(self.select(request.get("where", "all")))
        for bmc in chosen:
            bmc.reset_counters()
        return {"bmcs": len(chosen)}

    def _totals(self, request: Json, now: float) -> Json:
        sums: Json = {"received": {}, "executed": {}}
        for bmc in self.bmcs.values():
            for name, value in asdict(bmc.counters).items():
                if isinstance(value, dict):
                    for word, count in value.items():
                        sums[name][word] = sums[name].get(word, 0) + count
                else:
                    sums[name] = sums.get(name, 0) + value
        powered = sum(bmc.power(now) for bmc in self.bmcs.values())
        return sums | {"powered": powered, "open_sessions": len(self.sessions), "strays": self.strays}


_OPERATIONS: dict[str, Callable[[Fleet, Json, float], Json]] = {
    "hello": Fleet._hello,
    "faults": Fleet._faults,
    "heal": Fleet._heal,
    "power": Fleet._power,
    "credentials": Fleet._credentials,
    "state": Fleet._state,
    "counters": Fleet._counters,
    "reset": Fleet._reset,
    "totals": Fleet._totals,
}

#: By name, the type of each fault: bool, int (counted), float or str (an address).
_KIND = {name: type(value) for name, value in asdict(Faults()).items()}


def check_faults(values: object) -> Json:
    """`values` as fields of Faults: true for a counted fault means every time.

    Raises RequestError, naming the fault and what it takes.
    """
    if not isinstance(values, dict) or not values:
        raise RequestError(f"faults: 'set' is an object of {', '.join(_KIND)}")
    return {str(name): _fault(str(name), value) for name, value in values.items()}


def _fault(name: str, value: object) -> bool | int | float | str:
    kind = _KIND.get(name)
    if kind is None:
        raise RequestError(f"unknown fault {name!r}; known: {', '.join(_KIND)}")
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise RequestError(f"fault {name} is true or false, not {value!r}")
    if kind is str:
        return _source(name, value)
    if kind is int and isinstance(value, bool):
        return ALWAYS if value else 0
    if kind is int and isinstance(value, int) and value >= ALWAYS:
        return value
    most = 1.0 if name in ("loss", "duplicate") else 86400.0
    if kind is float and isinstance(value, int | float) and 0 <= value <= most:
        return float(value)
    takes = "a whole number, -1 or true for always" if kind is int else f"a number from 0 to {most:g}"
    raise RequestError(f"fault {name} takes {takes}, not {value!r}")


def _source(name: str, value: object) -> str:
    try:
        return "" if value == "" else str(ipaddress.IPv4Address(str(value)))
    except ipaddress.AddressValueError as error:
        raise RequestError(f"fault {name} takes an IPv4 address, or an empty text: {error}") from None


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RequestError("credentials: 'user' and 'password' are Unicode text") from None


def check_credentials(user: bytes, password: bytes) -> tuple[bytes, bytes]:
    """The pair, if IPMI 2.0 can carry it: at most 16 and 20 bytes.

    Raises RequestError, without the password.
    """
    if len(user) > 16 or len(password) > 20:
        raise RequestError("credentials: IPMI takes at most 16 bytes of user and 20 of password")
    return user, password
