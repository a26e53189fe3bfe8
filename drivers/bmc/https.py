"""One HTTP/1.1 connection to one web service, on asyncio streams and h11 (RFC 9110, RFC 9112).

Nothing is repeated, redirected, pooled or taken from the environment here, so that a request leaves exactly
as often as `Client.send` is called (docs/adr/0008-h11-for-redfish.md). Time limits are the caller's.
"""

import asyncio
import hmac
import json
import os
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import h11

from core.errors import BmcRefused, BmcSilent
from core.webaccess import ACCEPT, PIN, PLAIN, Web

MOST_HEAD, MOST_BODY = 64 << 10, 1 << 20
_READ = 64 << 10
CUT, LONG = "its answer was cut short", f"its answer is longer than {MOST_BODY >> 10} KiB"
_FIXED_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "OData-Version": "4.0",
    "User-Agent": "serval",
}


class NoAnswer(BmcSilent):
    """The request may have left, and the connection ended before its answer began."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: Why the body is not whole: CUT, LONG, or "" when it is.
    fault: str = ""

    @property
    def good(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300

    def document(self) -> dict[str, Any] | None:
        """The JSON object in the body; None when there is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class Trusting:
    """TLS contexts, one for each rule: the system's certificates are read once."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[bool, str], ssl.SSLContext] = {}

    def context(self, web: Web) -> ssl.SSLContext | None:
        """The context for a service, None for plain http. Raises BmcRefused for unusable certificates."""
        if web.tls == PLAIN:
            return None
        key = (web.tls == ACCEPT or web.tls.startswith(PIN), web.ca)
        if key not in self._contexts:
            self._contexts[key] = _context(*key)
        return self._contexts[key]


def _context(any_certificate: bool, ca: str) -> ssl.SSLContext:
    if any_certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(cadata=ca)
        except ssl.SSLError:
            raise BmcRefused("site.bmcca holds a certificate that cannot be read") from None
    return context


class Client:
    """A web service and at most one connection to it, opened again when the service has closed it."""

    def __init__(self, address: str, port: int, web: Web, trusting: Trusting) -> None:
        self._address, self._port, self._web = address, port, web
        self._trusting = trusting
        self._socket: socket.socket | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def knock(self) -> None:
        """Have a TCP connection. Raises BmcSilent when there is no way to the service."""
        if self._streams is not None or self._socket is not None:
            return
        try:
            family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            await asyncio.get_running_loop().sock_connect(self._socket, (self._address, self._port))
        except OSError as error:
            self.close()
            raise BmcSilent(_reason(error)) from None
        except BaseException:
            self.close()
            raise

    async def ready(self) -> None:
        """Have an open connection whose certificate is trusted.

        Raises BmcSilent when there is no way to the service, BmcRefused for its certificate.
        """
        if self._streams is not None:
            if self._http.our_state is h11.IDLE and not self._streams[0].at_eof():
                return
            self.close()
        context = self._trusting.context(self._web)
        await self.knock()
        self._streams = await self._open(context)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        if context is not None and self._web.tls.startswith(PIN):
            self._check_pin(self._streams[1])

    async def _open(
        self, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # Never without a name: an empty one would switch the look at it off.
        name = (self._web.host or self._address) if context is not None else None
        # The connection belongs to the streams from here on.
        connected, self._socket = self._socket, None
        try:
            return await asyncio.open_connection(
                sock=connected, limit=_READ, ssl=context, server_hostname=name
            )
        except ssl.SSLCertVerificationError as error:
            raise BmcRefused(
                f"its certificate is not trusted: {error.verify_message or error.reason} (as {name!r}); "
                "name its issuer in site.bmcca, or pin it: bmc=https://…#sha256:FINGERPRINT"
            ) from None
        except ssl.SSLEOFError:
            raise NoAnswer("the connection was closed during the TLS handshake") from None
        except ssl.SSLError as error:
            raise BmcRefused(f"no TLS connection: {error.reason or 'handshake failed'}") from None
        except OSError as error:
            raise NoAnswer(_reason(error)) from None
        except ValueError:
            raise BmcRefused(f"{name!r} cannot stand in a certificate; correct openbmc.bmc") from None

    def _check_pin(self, writer: asyncio.StreamWriter) -> None:
        shown = sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(PIN + shown, self._web.tls):
            self.close()
            raise BmcRefused(
                f"its certificate is not the pinned one: it has the fingerprint sha256:{shown}; "
                "if that is right, correct bmc=https://…#sha256:FINGERPRINT or site.bmctls"
            )

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], document: object = None
    ) -> Answer:
        """Send one request on the connection that `ready` left, in one write, and read its answer.

        Raises NoAnswer, or BmcRefused for an answer that is no HTTP.
        """
        assert self._streams is not None, "ready() comes first"
        reader, writer = self._streams
        try:
            writer.write(self._request(method, path, headers, document))
            await writer.drain()
            answer = await self._answer(reader)
        except OSError as error:
            self.close()
            raise NoAnswer(_reason(error)) from None
        except BaseException:
            # Whatever is half read or half written belongs to no other request.
            self.close()
            raise
        if not answer.fault and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()
        return answer

    def _request(self, method: str, path: str, headers: Mapping[str, str], document: object) -> bytes:
        body = b"" if document is None else json.dumps(document).encode()
        fields = {"Host": self._authority(), **_FIXED_HEADERS, **headers}
        if document is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        try:
            events = [h11.Request(method=method, target=path, headers=list(fields.items()))]
        except h11.LocalProtocolError:
            raise BmcRefused("it names a path or a token that HTTP cannot carry") from None
        sent = self._http.send(events[0]) or b""
        if body:
            sent += self._http.send(h11.Data(body)) or b""
        return sent + (self._http.send(h11.EndOfMessage()) or b"")

    def _authority(self) -> str:
        host = f"[{self._web.host}]" if ":" in self._web.host else self._web.host
        usual = 80 if self._web.tls == PLAIN else 443
        return host if self._port == usual else f"{host}:{self._port}"

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head: h11.Response | None = None
        body = bytearray()
        while len(body) <= MOST_BODY:
            try:
                event = await self._event(reader)
            except (NoAnswer, OSError):
                if head is None:
                    raise
                return _told(head, body, CUT)
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _told(head, body)
        assert head is not None, "a body has a head"
        return _told(head, b"", LONG)

    async def _event(self, reader: asyncio.StreamReader) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await reader.read(_READ))
                    continue
            except h11.RemoteProtocolError as error:
                if self._http.their_state is h11.ERROR and self._http.trailing_data[0]:
                    raise BmcRefused(f"it does not speak HTTP: {error}") from None
                raise NoAnswer("the connection was closed") from None
            if isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed):
                return event
            raise NoAnswer("the connection was closed")

    def close(self) -> None:
        """Drop the connection without waiting for the other side."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def _reason(error: OSError) -> str:
    """The system's words; asyncio puts its own into `strerror`."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _told(head: h11.Response, body: bytes | bytearray, fault: str = "") -> Answer:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    if headers.get("content-encoding", "").lower() in ("gzip", "deflate"):
        # Some BMCs compress unasked.
        try:
            body = zlib.decompressobj(wbits=47).decompress(bytes(body), MOST_BODY)
        except zlib.error:
            body, fault = b"", CUT
    return Answer(head.status_code, headers, bytes(body), fault)
