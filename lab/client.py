"""The control of a running simulator, for tests and rehearsals: faults, power, counters."""

import json
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from core.errors import RequestError, UnavailableError
from lab.control import control_address

_Ask = Callable[[dict[str, Any]], dict[str, Any]]
_Where = str | list[str]


class SimControl:
    """Asks one simulator. `where` is "all", an address, a range "A-B", or a list of those.

    Every method raises RequestError for what the simulator refuses, UnavailableError when it is gone.
    """

    def __init__(self, ask: _Ask, close: Callable[[], None] = lambda: None) -> None:
        self._ask = ask
        self.close = close

    @classmethod
    def connect(cls, where: str, timeout_s: float = 30.0) -> Self:
        """Speak to the control socket at `where`: a path or "127.0.0.1:PORT"."""
        family, address = control_address(where)
        channel = socket.socket(family, socket.SOCK_STREAM)
        try:
            channel.settimeout(timeout_s)
            channel.connect(address)
        except OSError as error:
            channel.close()
            raise UnavailableError(f"no simulator answers at {where}: {error}") from None
        line = _LineChannel(channel, where)
        return cls(line.ask, line.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hello(self) -> dict[str, Any]:
        """The simulator's UDP `port`, `base` address and `count` of BMCs."""
        return self._call("hello")

    def faults(self, where: _Where, **faults: float | str) -> int:
        """Set these fields of lab.bmc.Faults, leaving the others; how many BMCs that were."""
        return int(self._call("faults", where=where, set=faults)["bmcs"])

    def heal(self, where: _Where = "all") -> int:
        """Take every fault away; how many BMCs that were."""
        return int(self._call("heal", where=where)["bmcs"])

    def power(self, where: _Where, on: bool) -> int:
        """Switch chassis by hand, uncounted; how many BMCs that were."""
        return int(self._call("power", where=where, on=on)["bmcs"])

    def credentials(self, where: _Where, user: str, password: str) -> int:
        """Give BMCs another user and password; how many that were."""
        return int(self._call("credentials", where=where, user=user, password=password)["bmcs"])

    def state(self, where: _Where = "all") -> dict[str, dict[str, Any]]:
        """By address: power, boots, booted_from, boot_flags, faults, counters."""
        return dict(self._call("state", where=where)["bmcs"])

    def counters(self, where: _Where = "all") -> dict[str, dict[str, Any]]:
        """By address, the fields of lab.bmc.Counters; all BMCs at one moment."""
        return dict(self._call("counters", where=where)["bmcs"])

    def executed(self, word: str, where: _Where = "all") -> dict[str, int]:
        """By address, how often the command `word` (reset, on, cycle, setboot …) was carried out."""
        return {address: each["executed"].get(word, 0) for address, each in self.counters(where).items()}

    def received(self, word: str, where: _Where = "all") -> dict[str, int]:
        """By address, how often the command `word` arrived in a session."""
        return {address: each["received"].get(word, 0) for address, each in self.counters(where).items()}

    def reset_counters(self, where: _Where = "all") -> int:
        """Count from zero again; how many BMCs that were."""
        return int(self._call("reset", where=where)["bmcs"])

    def totals(self) -> dict[str, Any]:
        """Sums of all counters, with powered, open_sessions and strays."""
        return self._call("totals")

    def _call(self, op: str, **values: object) -> dict[str, Any]:
        answer = self._ask({"op": op, **values})
        if not answer.pop("ok", False):
            raise RequestError(str(answer.get("error", "the simulator refused without a reason")))
        return answer


class _LineChannel:
    """A connected stream socket as question and answer, one JSON line each."""

    def __init__(self, channel: socket.socket, where: str) -> None:
        self._channel = channel
        self._reader = channel.makefile("rb")
        self._where = where

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\n")
            line = self._reader.readline()
        except OSError as error:
            raise UnavailableError(f"the simulator at {self._where} does not answer: {error}") from None
        if not line:
            raise UnavailableError(f"the simulator at {self._where} has ended")
        return dict(json.loads(line))

    def close(self) -> None:
        self._reader.close()
        self._channel.close()
