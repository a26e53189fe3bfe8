"""Ending leases of this host's own DHCP server: with DHCPRELEASE (RFC 2131 4.4.6), or in its file.

dnsmasq gives an address to a new MAC only when the lease of the old one has ended. The message goes to this
host's own address through the interface of the lease's network, so that the server takes it for its client's.
"""

import secrets
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from core.errors import UnavailableError
from drivers.files import write_whole

SERVER_PORT = 67
COOKIE = bytes((99, 130, 83, 99))
RELEASE = 7
#: op, htype, hlen, hops; xid; secs, flags; ciaddr, yiaddr, siaddr, giaddr; chaddr; sname, file.
HEADER = struct.Struct("!4BIHH4s4s4s4s16s64s128s")


@dataclass(frozen=True, slots=True)
class Lease:
    """One line of a lease file: `expiry MAC address name client-id`."""

    mac: str
    ip: IPv4Address
    client_id: bytes = b""


def read_leases(file: Path) -> list[Lease]:
    """The IPv4 leases in dnsmasq's lease file; none when there is no file. Raises UnavailableError."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnavailableError(f"{file} cannot be read: {error.strerror}") from error
    found = []
    for line in lines:
        words = line.split()
        with suppress(ValueError):
            if len(words) == 5:
                identity = b"" if words[4] == "*" else bytes.fromhex(words[4].replace(":", ""))
                found.append(Lease(words[1].lower(), IPv4Address(words[2]), identity))
    return found


def release_leases(
    file: Path, pairs: Sequence[tuple[str, str]], attached: Iterable[tuple[str, IPv4Interface]]
) -> None:
    """End those of the (address, MAC) pairs that are leased.

    `attached` are this host's interfaces with their own addresses; leases in networks of none are left alone.
    Raises UnavailableError.
    """
    asked = set(pairs)
    leases = [lease for lease in read_leases(file) if (str(lease.ip), lease.mac) in asked]
    own = list(attached) if leases else []
    for lease in leases:
        for interface, address in own:
            if lease.ip in address.network:
                _send(interface, address.ip, message(lease, address.ip))


def forget_leases(file: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Take the leases of these (address, MAC) pairs out of the file of a server that does not run.

    Raises UnavailableError or RequestError.
    """
    asked = set(pairs)
    if not any((str(lease.ip), lease.mac) in asked for lease in read_leases(file)):
        return
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    write_whole(file, "".join(line for line in lines if _pair(line) not in asked))


def _pair(line: str) -> tuple[str, str]:
    words = line.split()
    return (words[2], words[1].lower()) if len(words) == 5 else ("", "")


def message(lease: Lease, server: IPv4Address) -> bytes:
    """The DHCPRELEASE of a lease."""
    mac = bytes.fromhex(lease.mac.replace(":", ""))
    ids = secrets.randbits(32), 0, 0, lease.ip.packed, bytes(4), bytes(4), bytes(4)
    head = HEADER.pack(1, 1, 6, 0, *ids, mac, b"", b"")
    told = [(53, bytes((RELEASE,))), (54, server.packed)]
    if lease.client_id:
        told.append((61, lease.client_id))
    options = b"".join(bytes((code, len(text))) + text for code, text in told)
    return head + COOKIE + options + b"\xff"


def _send(interface: str, server: IPv4Address, packet: bytes) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            channel.sendto(packet, (str(server), SERVER_PORT))
    except OSError as error:
        raise UnavailableError(f"no DHCPRELEASE through {interface}: {error.strerror}") from error
