"""A router of the laboratory's network: it answers IPv6 router solicitations, and routes nothing.

Without any answer iPXE waits 13 seconds for one before it goes on with IPv4. RFC 4861, 4.1 and 4.2:
`python -m lab.routeradvert INTERFACE`.
"""

import socket
import struct
import sys

SOLICITATION, ADVERTISEMENT = 133, 134
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
#: Type, code, checksum (the kernel's), hop limit, flags, no default route, times left to the host.
ANSWER = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)


def answer(interface: str) -> None:
    """Answer every solicitation on the interface, for ever."""
    index = socket.if_nametoindex(interface)
    group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", index)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as line:
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        while True:
            message = line.recv(1500)
            if message and message[0] == SOLICITATION:
                line.sendto(ANSWER, (ALL_NODES, 0, 0, index))


if __name__ == "__main__":
    answer(sys.argv[1])
