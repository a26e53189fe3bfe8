"""Whether hosts answer, many at once: an SSH server, else anything (TCP or an ICMP echo), else nothing.

A refused connection is an answer too, so hosts are found alive where nobody may send ICMP.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from enum import StrEnum
from ipaddress import ip_address

SSH_PORT = 22
#: Connections at a time; each that is not answered takes CONNECT_S.
WINDOW = 800
CONNECT_S = 2.0
BANNER_S = 2.0
#: Echo requests to a host before it is said not to answer, and how long after the last.
ECHOES = 3
ECHO_S = 0.7
ECHO_REQUEST = 8


class Answer(StrEnum):
    """What a host does, in nodestat's words."""

    SSHD = "sshd"
    PING = "ping"
    NOPING = "noping"


def look(addresses: Mapping[str, str], port: int = SSH_PORT) -> dict[str, Answer]:
    """What each of these does: name → address in, name → answer out."""
    return asyncio.run(_look(addresses, port))


async def _look(addresses: Mapping[str, str], port: int) -> dict[str, Answer]:
    window = asyncio.Semaphore(WINDOW)
    with _echoing() as echo:

        async def one(address: str) -> Answer:
            async with window:
                answer = await _connect(address, port)
                if answer is Answer.NOPING and echo is not None and await echo.answers(address):
                    return Answer.PING
                return answer

        found = await asyncio.gather(*(one(address) for address in addresses.values()))
    return dict(zip(addresses, found, strict=True))


async def _connect(address: str, port: int) -> Answer:
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT_S)
    except ConnectionRefusedError:
        return Answer.PING
    except (OSError, TimeoutError):
        return Answer.NOPING
    try:
        banner = await asyncio.wait_for(reader.read(4), BANNER_S)
    except (OSError, TimeoutError):
        banner = b""
    writer.close()
    return Answer.SSHD if banner == b"SSH-" else Answer.PING


class _Echo:
    """ICMP echoes of IPv4 over one socket; hosts are told apart by their addresses."""

    def __init__(self, raw: socket.socket) -> None:
        self._socket, self._number = raw, os.getpid() & 0xFFFF
        self._waiting: dict[str, asyncio.Future[None]] = {}
        asyncio.get_running_loop().add_reader(raw, self._hear)

    async def answers(self, address: str) -> bool:
        """Whether a host answers one of a few echo requests."""
        if ip_address(address).version != 4:
            return False
        heard = self._waiting.setdefault(address, asyncio.get_running_loop().create_future())
        for number in range(ECHOES):
            with contextlib.suppress(OSError):
                self._socket.sendto(request(self._number, number), (address, 0))
            done, _ = await asyncio.wait([heard], timeout=ECHO_S)
            if done:
                return True
        self._waiting.pop(address, None)
        return False

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            packet, (address, _) = self._socket.recvfrom(2048)
            # A raw socket hears every ICMP packet with its IP header: replies (type 0) to us count.
            body = packet[(packet[0] & 0xF) * 4 :] if packet[:1] and packet[0] >> 4 == 4 else packet
            kind, _, _, number, _ = struct.unpack_from("!BBHHH", body)
            heard = self._waiting.get(address)
            if kind == 0 and heard and not heard.done() and number in (self._number, self._own_port()):
                heard.set_result(None)

    def _own_port(self) -> int:
        """The kernel puts it in place of our number on a socket that is not raw."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@contextlib.contextmanager
def _echoing() -> Iterator[_Echo | None]:
    """An open _Echo; None where the kernel does not let us."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        except OSError:
            continue
        echo = _Echo(made)
        try:
            yield echo
        finally:
            echo.close()
        return
    yield None


def request(number: int, place: int) -> bytes:
    """An echo request (RFC 792)."""
    without = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, number, place)
    total = sum(struct.unpack("!4H", without))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, ~total & 0xFFFF, number, place)
