"""The control socket of the simulator: one JSON object a line in, one a line out, in order.

Rides in the simulator's own loop, so that an answer is a picture of one moment.
"""

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import RequestError

#: A longer request line ends the connection.
_LONGEST_LINE = 4 << 20

_Execute = Callable[[object], dict[str, Any]]


def control_address(where: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """The socket family and address that `where` names: "127.0.0.1:PORT", or the path of a Unix socket.

    Raises RequestError for a host that is not loopback.
    """
    host, colon, port = where.rpartition(":")
    if not colon or "/" in where or not port.isdigit():
        return socket.AF_UNIX, where
    if host not in ("127.0.0.1", "localhost"):
        raise RequestError(f"control {where}: only 127.0.0.1 or a Unix socket; there is no password on it")
    return socket.AF_INET, ("127.0.0.1", int(port))


class ControlServer:
    """Listens on a path or loopback port and answers every connection's lines.

    Raises OSError when the address is taken. A path that nobody listens on any more is replaced.
    """

    def __init__(self, where: str, selector: selectors.BaseSelector, execute: _Execute) -> None:
        self._selector = selector
        self._execute = execute
        self._connections: set[_Connection] = set()
        family, address = control_address(where)
        self._path = Path(where) if family == socket.AF_UNIX else None
        if self._path is not None:
            _remove_dead(self._path)
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._bind(family, address)
        except OSError:
            self._listener.close()
            raise
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _bind(self, family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
        self._listener.setblocking(False)
        if family == socket.AF_INET:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        before = os.umask(0o077)
        try:
            self._listener.bind(address)
        finally:
            os.umask(before)
        self._listener.listen(16)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            channel, _ = self._listener.accept()
            self._connections.add(
                _Connection(channel, self._selector, self._execute, self._connections.discard)
            )

    def close(self) -> None:
        """Close the listener and every connection, and remove the path."""
        for connection in list(self._connections):
            connection.close()
        self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Connection:
    """One console of the control socket; a slow reader holds up nobody but itself."""

    def __init__(
        self,
        channel: socket.socket,
        selector: selectors.BaseSelector,
        execute: _Execute,
        closed: Callable[["_Connection"], None],
    ) -> None:
        self._channel = channel
        self._selector = selector
        self._execute = execute
        self._closed = closed
        self._in = bytearray()
        self._out = bytearray()
        channel.setblocking(False)
        selector.register(channel, selectors.EVENT_READ, self._turn)

    def close(self) -> None:
        """Drop the connection."""
        self._selector.unregister(self._channel)
        self._channel.close()
        self._closed(self)

    def _turn(self) -> None:
        try:
            if self._out:
                self._flush()
            else:
                self._read()
        except BlockingIOError:
            return
        except ConnectionError:
            self.close()

    def _read(self) -> None:
        data = self._channel.recv(1 << 16)
        if not data or len(self._in) > _LONGEST_LINE:
            self.close()
            return
        self._in += data
        if b"\n" not in data:
            return
        *lines, rest = self._in.split(b"\n")
        self._in = bytearray(rest)
        for line in lines:
            self._out += json.dumps(self._answer(bytes(line))).encode() + b"\n"
        self._flush()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return self._execute(json.loads(line))
        except (ValueError, RecursionError) as error:
            return {"ok": False, "error": f"not a line of JSON: {error}"}

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self._out[: self._channel.send(self._out)]
        wanted = selectors.EVENT_WRITE if self._out else selectors.EVENT_READ
        self._selector.modify(self._channel, wanted, self._turn)


def _remove_dead(path: Path) -> None:
    """Remove the socket that an ended simulator left at `path`; a living one stays, and bind says so."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
