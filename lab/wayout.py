"""Debian's mirror for a host of the laboratory: its namespace has no way out, so this passes requests on.

The socket belongs to the namespace of the host, its reader to this process (setns(2), for one thread alone).
"""

import ctypes
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from core.errors import UnavailableError
from lab.image import debian_mirror
from lab.namespaces import Namespaces

HERE = "127.0.0.1"
CLONE_NEWNET = 0x40000000
TIMEOUT_S = 60


class Relay(BaseHTTPRequestHandler):
    """Passes GET on to the mirror that apt knows on this machine."""

    protocol_version = "HTTP/1.1"
    upstream = ""

    def do_GET(self) -> None:
        """Answer with what the mirror answers."""
        try:
            answer = urllib.request.urlopen(self.upstream + self.path, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
            return
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))
            return
        with answer, suppress(ConnectionError):
            self.send_response(answer.status)
            self.send_header("Content-Length", answer.headers["Content-Length"])
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, *_: object) -> None:
        """Say nothing: apt says what it lacks."""


@contextmanager
def mirror(spaces: Namespaces, host: str) -> Iterator[str]:
    """The mirror's address for programs of this host, while the context lasts."""
    passes_on = type("PassesOn", (Relay,), {"upstream": debian_mirror()})
    with inside(spaces, host):
        server = ThreadingHTTPServer((HERE, 0), passes_on)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HERE}:{server.server_port}"
        server.shutdown()


@contextmanager
def inside(spaces: Namespaces, host: str) -> Iterator[None]:
    """This thread in the network of a host; sockets that it makes there stay there."""
    with Path("/proc/thread-self/ns/net").open("rb") as own:
        with Path("/run/netns", spaces.name(host)).open("rb") as other:
            enter(other.fileno())
        try:
            yield
        finally:
            enter(own.fileno())


def enter(namespace: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise UnavailableError(f"setns: {os.strerror(ctypes.get_errno())}")
