"""DNS of a service node: records by the real dnsmasq, asked over the wire (RFC 1035)."""

import secrets
import socket
import struct
import time
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address

from services_rig import Sn, in_own_network, service_node, wire
from sqlalchemy import update

from core.hostsfile import Line
from core.netdoc import NetDoc, NetworksDoc
from core.syncspec import Mode
from core.wanted import Kind
from db import wanted
from db.engine import reading, writing
from db.tables import TABLES
from drivers.services.dnsmasq import NAMES, RECORDS
from routing.nameservice import name_servers, take_over, write_names, write_networks
from routing.syncing import Order

A, PTR, NOERROR, NXDOMAIN = 1, 12, 0, 3
NETWORKS = NetworksDoc((NetDoc("a", "10.0.0.0/16"),), domain="c.net")
LINES = [Line("n1", "10.0.1.1", ("n1.c.net", "n1", "first")), Line("n2", "10.0.1.2", ("n2.c.net", "n2"))]


@dataclass(frozen=True)
class Found:
    """An answer: its code and what its records hold."""

    code: int
    records: tuple[str, ...]


def ask(name: str, kind: int = A) -> Found:
    """Ask this host's name server."""
    number = secrets.token_bytes(2)
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(number + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + question, ("127.0.0.1", 53))
        packet = client.recv(4096)
    _, flags, _, count = struct.unpack_from("!4H", packet)
    place, found = 12 + len(question), []
    for _ in range(count):
        (length,) = struct.unpack_from("!H", packet, place + 10)  # behind the name, which is a pointer
        found.append(read(packet[place + 12 : place + 12 + length], kind))
        place += 12 + length
    return Found(flags & 15, tuple(found))


def read(told: bytes, kind: int) -> str:
    """An address, or a name of whole labels."""
    if kind == A:
        return str(IPv4Address(told))
    words = []
    while told[0]:
        words.append(told[1 : 1 + told[0]].decode())
        told = told[1 + told[0] :]
    return ".".join(words)


def soon(name: str, expected: Found, kind: int = A) -> Found:
    """The answer, once it is as expected; dnsmasq sees new files in a moment."""
    deadline = time.monotonic() + 5
    while (found := ask(name, kind)) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def names(sn: Sn, lines: Collection[Line], nodes: Collection[str] | None = None) -> None:
    """What makedns writes, taken over by the service node."""
    with writing(sn.engine) as connection:
        write_networks(connection, NETWORKS, "mn1")
        write_names(connection, list(lines), nodes, name_servers(connection, "mn1"))
    said = take_over(Order(sn.home, sn.engine, ["sn1"], Mode.APPLY))
    assert said.problems == {}


@in_own_network
def test_a_secondary_holds_the_records(sqlite_url: str) -> None:
    wire("eth9", "10.0.0.11/16")
    with service_node(sqlite_url) as sn:
        sn.tables({"domain": "c.net"}, nameserver="2")
        names(sn, LINES)
        pid = sn.pid("dnsmasq")
        assert ask("n1.c.net") == ask("n1") == ask("first") == Found(NOERROR, ("10.0.1.1",))
        assert ask("1.1.0.10.in-addr.arpa", PTR) == Found(NOERROR, ("n1.c.net",))
        assert ask("n9.c.net").code == NXDOMAIN
        names(sn, [Line("n1", "10.0.1.77", ("n1.c.net", "n1"))], ["n1"])
        assert soon("n1.c.net", Found(NOERROR, ("10.0.1.77",))).records == ("10.0.1.77",)
        assert ask("n2").records == ("10.0.1.2",)
        names(sn, [], ["n2"])
        assert soon("n2.c.net", Found(NXDOMAIN, ())).code == NXDOMAIN
        (sn.home.path / "services" / "sn1" / "dnsmasq" / NAMES / RECORDS).unlink()
        assert soon("n1.c.net", Found(NXDOMAIN, ())).code == NXDOMAIN
        sn.set_up()
        assert soon("n1.c.net", Found(NOERROR, ("10.0.1.77",))).records == ("10.0.1.77",)
        assert sn.pid("dnsmasq") == pid
        with reading(sn.engine) as connection:
            had = wanted.have(connection, Kind.SERVICE)["sn1"].revision
            assert had == wanted.last(connection, Kind.SERVICE)


@in_own_network
def test_one_that_only_asks_holds_none(sqlite_url: str) -> None:
    wire("eth9", "10.0.0.11/16")
    with service_node(sqlite_url) as sn:
        sn.tables({"domain": "c.net"}, nameserver="2")
        names(sn, LINES)
        with writing(sn.engine) as connection:
            connection.execute(update(TABLES["servicenode"]).values(nameserver="1"))
        names(sn, LINES)
        assert (sn.home.path / "services" / "sn1" / "dnsmasq" / NAMES / RECORDS).read_text() == ""
