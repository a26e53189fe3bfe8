"""Frames (cli/wire.py) over TLS between a service node and the relay, without ever waiting.

service node → relay   ask REQUEST, signal N, size ROWS+COLUMNS, text BYTES, failed ERRNO, typed BYTES
relay → service node   welcome, begun, out BYTES, err BYTES, read PATH, input, shown NODES, status N,
                       died SIGNAL, refused TEXT
"""

import select
import ssl
import time

from cli import wire
from cli.client import ENVIRONMENT, PREFIXES
from cli.wire import ConversationLost

#: The number of this conversation; another one is not spoken to.
PROTOCOL = 1
CHUNK = 1 << 16
#: Who has so much to send still gets nothing more to send.
ENOUGH = 1 << 20

#: What of the caller's environment is about the output, not about the host.
KEPT = ENVIRONMENT - {"HOME", "USER", "LOGNAME", "SUDO_USER", "XDG_DATA_HOME"}


class Link:
    """One connection: `put` what is to be sent, `flush` when it is writable, `take` when it is readable."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._out = bytearray()
        self._in = bytearray()

    def fileno(self) -> int:
        """For select."""
        return self._sock.fileno()

    def put(self, word: str, *fields: bytes) -> None:
        """Send a frame when there is time."""
        self._out += wire.frame(word, *fields)

    @property
    def unsent(self) -> int:
        """How many bytes are to be sent."""
        return len(self._out)

    def flush(self) -> None:
        """Send as much as goes. Raises ConversationLost."""
        try:
            while self._out:
                del self._out[: self._sock.send(self._out[:CHUNK])]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise ConversationLost(str(error)) from error

    def finish(self, within_s: float) -> None:
        """Send everything. Raises ConversationLost when that takes too long."""
        deadline = time.monotonic() + within_s
        while self._out:
            self.flush()
            if self._out and not select.select([], [self], [], max(0.0, deadline - time.monotonic()))[1]:
                raise ConversationLost("the other side does not listen")

    def take(self, most: int | None = None) -> list[tuple[str, bytes]]:
        """The next frames that are complete. Raises ConversationLost, also at the end."""
        try:
            while True:
                part = self._sock.recv(CHUNK)
                if not part:
                    raise ConversationLost("the connection ended")
                self._in += part
                if not self._sock.pending():
                    break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # not a whole record yet
        except OSError as error:
            raise ConversationLost(str(error)) from error
        return self._complete(most)

    def _complete(self, most: int | None) -> list[tuple[str, bytes]]:
        frames: list[tuple[str, bytes]] = []
        while len(self._in) >= 4 and len(frames) != most:
            size = int.from_bytes(self._in[:4], "big")
            if size > wire.MOST:
                raise ConversationLost(f"a frame of {size} bytes")
            if len(self._in) < 4 + size:
                break
            word, _, rest = bytes(self._in[4 : 4 + size]).partition(b"\0")
            del self._in[: 4 + size]
            frames.append((word.decode("ascii", "replace"), rest))
        return frames

    def close(self) -> None:
        """End the connection."""
        self._sock.close()


def of_output(name: str) -> bool:
    """Whether a variable of the caller is of interest here."""
    return name in KEPT or (name.startswith(PREFIXES) and not name.startswith("SERVAL_"))
