"""Asking this host's own DHCP server or proxy, as a node on the same wire would (RFC 2131).

A server without a dynamic range answers no DISCOVER of a client that it does not know, so a DHCPINFORM is
sent: it asks for the options of the network, and every server of that network answers it. A proxy is asked on
its own port, as a client that has an address asks for its boot file (PXE 2.1, section 2.2).
"""

import fcntl
import secrets
import socket
import struct

from drivers.services.probes import TIMEOUT_S, probe

SIOCGIFADDR = 0x8915
IP_PKTINFO = 8
SERVER_PORT = 67
#: Where UEFI and boot menus ask a proxy.
PROXY_PORT = 4011
#: A hardware address that nobody has.
NOBODY = "02:00:00:00:00:01"
COOKIE = bytes((99, 130, 83, 99))
REQUEST, ACK, INFORM = 3, 5, 8
#: Vendor class, and the architecture of a BIOS.
PXE_CLIENT = bytes((60, 9)) + b"PXEClient" + bytes((93, 2, 0, 0))
#: op, htype, hlen, hops; xid; secs, flags; ciaddr, yiaddr, siaddr, giaddr; chaddr; sname, file.
HEADER = struct.Struct("!4B4sHH4s4s4s4s16s64s128s")


def dhcp_inform(interface: str) -> str | None:
    """Ask the server behind an interface of this host for the options of its network."""
    return _asked(interface, "DHCPINFORM", SERVER_PORT, bytes((53, 1, INFORM)))


def pxe_request(interface: str) -> str | None:
    """Ask the proxy behind an interface of this host, which must answer `NOBODY`, for a boot file."""
    return _asked(interface, "PXE request", PROXY_PORT, bytes((53, 1, REQUEST)) + PXE_CLIENT)


def _asked(interface: str, what: str, port: int, options: bytes) -> str | None:
    def ask() -> str | None:
        number = secrets.token_bytes(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            own = address_of(client, interface)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.settimeout(TIMEOUT_S)
            # Not bound to the interface: the answer to this host's own address comes by loopback.
            through = struct.pack("=I4s4s", socket.if_nametoindex(interface), own, bytes(4))
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, through)]
            client.sendmsg([message(number, own, options)], ancillary, 0, ("255.255.255.255", port))
            while True:
                answer = client.recv(4096)
                if answer[4:8] == number and bytes((53, 1, ACK)) in answer:
                    return None

    return probe(f"{what} through {interface}", ask)


def message(number: bytes, own: bytes, options: bytes) -> bytes:
    """A message of the host with this address, under a hardware address that nobody has."""
    nobody, none = bytes.fromhex(NOBODY.replace(":", "")), bytes(4)
    head = HEADER.pack(1, 1, 6, 0, number, 0, 0, own, none, none, none, nobody, b"", b"")
    return head + COOKIE + options + b"\xff"


def address_of(channel: socket.socket, interface: str) -> bytes:
    """The IPv4 address of an interface (netdevice(7)). Raises OSError when it has none."""
    request = struct.pack("256s", interface.encode()[:15])
    return fcntl.ioctl(channel.fileno(), SIOCGIFADDR, request)[20:24]
