"""TLS between members, both sides with a certificate that the other one knows beforehand (docs/adr/0011).

The trusted certificates are the anchors of the handshake, so an unknown peer is turned away by TLS itself and
never heard; afterwards the very bytes are compared, so a certificate cannot vouch for another one.
"""

import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from core.errors import RequestError, UnavailableError
from drivers.certificate import fingerprint

CONNECT_S = 5.0
#: A peer that says nothing is given up after about this time, milliseconds.
SILENT_MS = 10_000
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 3,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: SILENT_MS,
    socket.TCP_NODELAY: 1,
}


class Stranger(UnavailableError):
    """The peer has no certificate that is known here."""


def accept(sock: socket.socket, own: Path, known: Mapping[str, str]) -> tuple[ssl.SSLSocket, str]:
    """Make the server's side of the handshake within the socket's time-out; the peer's name.

    `own` is a PEM file with key and certificate; `known` holds the certificates by name. Raises Stranger.
    """
    _keep_alive(sock)
    context = _context(ssl.PROTOCOL_TLS_SERVER, own, known.values())
    try:
        peer = context.wrap_socket(sock, server_side=True)
    except OSError as error:
        raise Stranger(f"the handshake failed: {_reason(error)}") from error
    shown = peer.getpeercert(binary_form=True)
    for name, certificate in known.items():
        with suppress(RequestError):
            if fingerprint(certificate) == shown:
                return peer, name
    raise Stranger("the certificate is nobody's")


def connect(host: str, port: int, own: Path, certificate: str) -> ssl.SSLSocket:
    """A connection to the server that owns this certificate.

    Raises UnavailableError when nobody answers, Stranger when somebody else does.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, own, [certificate])
    try:
        sock = socket.create_connection((host, port), timeout=CONNECT_S)
    except OSError as error:
        raise UnavailableError(_reason(error)) from error
    _keep_alive(sock)
    try:
        peer = context.wrap_socket(sock)
    except ssl.SSLCertVerificationError as error:
        raise Stranger("it shows another certificate") from error
    except OSError as error:
        raise UnavailableError(f"the handshake failed: {_reason(error)}") from error
    if peer.getpeercert(binary_form=True) != fingerprint(certificate):
        raise Stranger("it shows another certificate")
    return peer


def _context(purpose: int, own: Path, known: Iterable[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own)
    for certificate in known:
        with suppress(ssl.SSLError, ValueError, RequestError):  # a row that holds none vouches for nobody
            context.load_verify_locations(cadata=fingerprint(certificate))
    return context


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error)
