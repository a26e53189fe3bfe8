"""Real dnsmasq servers in network namespaces, and a DHCP client that can be any machine (RFC 2131, 2132)."""

import ctypes
import os
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from core.dhcpdoc import DhcpDoc
from core.dhcpplan import plan
from core.netdoc import NetworksDoc
from core.wanted import Change
from drivers.services.dhcpprobe import PROXY_PORT, SERVER_PORT
from drivers.services.dhcprelease import release_leases
from drivers.services.dnsmasq import (
    CONFIG,
    LEASES,
    PID,
    Dns,
    DnsmasqSettings,
    prepare,
    render_dnsmasq,
    told_by_signal,
)
from drivers.services.dnsmasqhosts import DhcpKeeper
from lab.namespaces import Namespaces

BRIDGE = "prov"
HEADER = struct.Struct("!4BIHH4s4s4s4s16s64s128s")
COOKIE = bytes((99, 130, 83, 99))
BROADCAST = 0x8000
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
#: Subnet mask, router, name server, host name, domain, MTU, NTP and log servers, TFTP server, boot file.
WANTED = bytes((1, 3, 6, 7, 12, 15, 26, 42, 66, 67, 175))
START_S = 10.0
Result = TypeVar("Result")


def inside(namespace: str, act: Callable[[], Result]) -> Result:
    """What `act` returns in a network namespace; a socket that it opens stays there."""
    found: list[Result] = []

    def run() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(handle, 0):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(handle)
        found.append(act())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@dataclass(frozen=True)
class Answer:
    """An offer or an acknowledgement."""

    kind: int
    xid: int
    ip: str
    server: str
    next_server: str
    options: Mapping[int, bytes]
    #: The header's field, where a proxy names the boot file.
    file: str = ""

    def text(self, code: int) -> str:
        """An option that is text."""
        return self.options.get(code, b"").rstrip(b"\0").decode()

    def addresses(self, code: int) -> list[str]:
        """An option that is a list of addresses."""
        told = self.options.get(code, b"")
        return [str(IPv4Address(told[place : place + 4])) for place in range(0, len(told), 4)]

    @property
    def boot(self) -> str:
        """The boot file."""
        return self.text(67)


def parse(packet: bytes) -> Answer:
    """The answer in a packet."""
    fields = HEADER.unpack_from(packet)
    told, place = {}, HEADER.size + 4
    while packet[place] != 255:
        code, length = packet[place], packet[place + 1]
        told[code] = packet[place + 2 : place + 2 + length]
        place += 2 + length
    return Answer(
        told[53][0],
        fields[4],
        str(IPv4Address(fields[8])),
        str(IPv4Address(told[54])),
        str(IPv4Address(fields[9])),
        told,
        fields[13].rstrip(b"\0").decode(),
    )


class Client:
    """A port on the switch that speaks DHCP for any MAC address."""

    def __init__(self, namespace: str) -> None:
        self._socket = inside(namespace, self._open)

    @staticmethod
    def _open() -> socket.socket:
        channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, BRIDGE.encode())
        channel.bind(("", 68))
        return channel

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def offers(self, mac: str, wait_s: float = 0.3, most: int = 9, **more: bytes) -> list[Answer]:
        """Every offer that comes within the time, in order, up to so many."""
        return self._collect(self._send(mac, DISCOVER, {}, more), wait_s, most)

    def offer(self, mac: str, **more: bytes) -> Answer:
        """The first offer; `more` are options `o93=…`. Raises TimeoutError."""
        return self._first(self._send(mac, DISCOVER, {}, more), 5.0)

    def lease(self, mac: str, **more: bytes) -> Answer:
        """Ask, take the first offer, and return the acknowledgement."""
        return self.take(mac, self.offer(mac, **more))

    def proxy(self, mac: str, own: str, server: str, **more: bytes) -> Answer:
        """What a proxy answers on its own port to who has an address. Raises TimeoutError."""
        return self._first(self._send(mac, REQUEST, {}, more, (server, PROXY_PORT), own), 5.0)

    def take(self, mac: str, offer: Answer) -> Answer:
        """Take an offer."""
        return self._first(self._request(mac, offer), 5.0)

    def taken(self, mac: str, offer: Answer, wait_s: float = 0.5) -> list[Answer]:
        """Take an offer, and hear what every server says to that within the time."""
        return self._collect(self._request(mac, offer), wait_s, 9)

    def _request(self, mac: str, offer: Answer) -> int:
        told = {50: IPv4Address(offer.ip).packed, 54: IPv4Address(offer.server).packed}
        return self._send(mac, REQUEST, told, {})

    def _send(
        self,
        mac: str,
        kind: int,
        told: dict[int, bytes],
        more: Mapping[str, bytes],
        to: tuple[str, int] = ("255.255.255.255", SERVER_PORT),
        own: str = "0.0.0.0",
    ) -> int:
        xid, none = secrets.randbits(32), bytes(4)
        chaddr = bytes.fromhex(mac.replace(":", ""))
        head = HEADER.pack(
            1, 1, 6, 0, xid, 0, BROADCAST, IPv4Address(own).packed, none, none, none, chaddr, b"", b""
        )
        told = {53: bytes((kind,)), 55: WANTED, **told, **{int(key[1:]): one for key, one in more.items()}}
        options = b"".join(bytes((code, len(one))) + one for code, one in told.items())
        self._socket.sendto(head + COOKIE + options + b"\xff", to)
        return xid

    def _first(self, xid: int, wait_s: float) -> Answer:
        found = self._collect(xid, wait_s, 1)
        if not found:
            raise TimeoutError("no DHCP server answered")
        return found[0]

    def _collect(self, xid: int, wait_s: float, most: int) -> list[Answer]:
        found: list[Answer] = []
        deadline = time.monotonic() + wait_s
        while (left := deadline - time.monotonic()) > 0 and len(found) < most:
            self._socket.settimeout(left)
            try:
                answer = parse(self._socket.recv(2048))
            except TimeoutError:
                break
            if answer.xid == xid:
                found.append(answer)
        return found


@dataclass
class Server:
    """A host with a dnsmasq that Serval configures."""

    net: Namespaces
    name: str
    address: str
    folder: Path
    doc: NetworksDoc
    dns: Dns | None = None
    tftp_root: str = ""
    proxy: bool = False
    told: int = 0
    process: subprocess.Popen[bytes] | None = None
    keeper: DhcpKeeper = field(init=False)

    def __post_init__(self) -> None:
        if self.name not in self.net.roles():
            self.net.add(self.name)
            self.net.plug(self.name, BRIDGE, self.address)
        self.keeper = DhcpKeeper(self.folder, self.name, self.tell, self.release)

    @property
    def network(self) -> IPv4Network:
        """The network it is on."""
        return IPv4Network(self.address, strict=False)

    def settings(self) -> DnsmasqSettings:
        """What its dnsmasq shall do."""
        told = plan(self.doc, self.name, [(BRIDGE, self.network)])
        own = ((BRIDGE, self.address.partition("/")[0]),)
        return DnsmasqSettings(
            self.folder, (BRIDGE,), told, self.proxy, self.tftp_root, self.dns, addresses=own
        )

    def start(self) -> None:
        """Start dnsmasq, which must like its configuration, and wait until it serves."""
        prepare(self.folder)
        config = self.folder / CONFIG
        config.write_text(render_dnsmasq(self.settings()))
        subprocess.run(["dnsmasq", "--test", "-C", str(config)], check=True, capture_output=True)
        command = self.net.inside(self.name, "dnsmasq", "-k", "-C", str(config), "--log-facility=-")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not (self.folder / PID).exists() and time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            (self.folder / PID).unlink(missing_ok=True)
            self.process = None

    def tell(self) -> None:
        """Let dnsmasq read its files again."""
        self.told += 1
        if self.process is not None and told_by_signal():
            self.process.send_signal(signal.SIGHUP)
        elif self.process is not None:
            self.stop()
            self.start()

    def release(self, pairs: Collection[tuple[str, str]]) -> None:
        """End leases, on this host."""
        attached = [(BRIDGE, IPv4Interface(self.address))]
        inside(self.net.name(self.name), lambda: release_leases(self.folder / LEASES, list(pairs), attached))

    def apply(self, revision: int, *docs: DhcpDoc, gone: Collection[str] = ()) -> dict[str, str]:
        """Hand documents to its keeper."""
        changes = [Change(doc.node, doc.to_text()) for doc in docs] + [Change(node, None) for node in gone]
        return self.keeper.apply(changes, revision)
