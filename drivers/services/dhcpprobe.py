"""Asking this host's own DHCP server, as a node on the same wire would (RFC 2131).

A server without a dynamic range answers no DISCOVER of a client that it does not know, so a DHCPINFORM is
sent: it asks for the options of the network, and every server of that network answers it.
"""

import fcntl
import secrets
import socket
import struct

from drivers.services.probes import TIMEOUT_S, probe

SIOCGIFADDR = 0x8915
IP_PKTINFO = 8
SERVER_PORT = 67
COOKIE = bytes((99, 130, 83, 99))
INFORM, ACK = 8, 5
#: op, htype, hlen, hops; xid; secs, flags; ciaddr, yiaddr, siaddr, giaddr; chaddr; sname, file.
HEADER = struct.Struct("!4B4sHH4s4s4s4s16s64s128s")


def dhcp_inform(interface: str) -> str | None:
    """Ask the server behind an interface of this host for the options of its network."""

    def ask() -> str | None:
        number = secrets.token_bytes(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            own = address_of(client, interface)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.settimeout(TIMEOUT_S)
            # Not bound to the interface: the answer to this host's own address comes by loopback.
            through = struct.pack("=I4s4s", socket.if_nametoindex(interface), own, bytes(4))
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, through)]
            client.sendmsg([message(number, own)], ancillary, 0, ("255.255.255.255", SERVER_PORT))
            while True:
                answer = client.recv(4096)
                if answer[4:8] == number and bytes((53, 1, ACK)) in answer:
                    return None

    return probe(f"DHCPINFORM through {interface}", ask)


def message(number: bytes, own: bytes) -> bytes:
    """The DHCPINFORM of the host with this address, under a hardware address that nobody has."""
    nobody = bytes((2, 0, 0, 0, 0, 1))
    head = HEADER.pack(1, 1, 6, 0, number, 0, 0, own, bytes(4), bytes(4), bytes(4), nobody, b"", b"")
    return head + COOKIE + bytes((53, 1, INFORM, 255))


def address_of(channel: socket.socket, interface: str) -> bytes:
    """The IPv4 address of an interface (netdevice(7)). Raises OSError when it has none."""
    request = struct.pack("256s", interface.encode()[:15])
    return fcntl.ioctl(channel.fileno(), SIOCGIFADDR, request)[20:24]
