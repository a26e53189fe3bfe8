"""Leases in dnsmasq's file, and the message that ends one."""

from ipaddress import IPv4Address
from pathlib import Path

from drivers.services.dhcprelease import Lease, forget_leases, message, read_leases

TEXT = """\
1795411368 aa:bb:cc:00:00:01 10.0.0.1 n1 *
1795411369 AA:BB:CC:00:00:02 10.0.0.2 * 01:aa:bb:cc:00:00:02
duid 00:01:00:01
1795411370 7 2001:db8::7 n7 00:01
"""
ONE = Lease("aa:bb:cc:00:00:01", IPv4Address("10.0.0.1"))
TWO = Lease("aa:bb:cc:00:00:02", IPv4Address("10.0.0.2"), bytes.fromhex("01aabbcc000002"))


def test_ipv4_leases_are_read(tmp_path: Path) -> None:
    assert read_leases(tmp_path / "none") == []
    (tmp_path / "leases").write_text(TEXT)
    assert read_leases(tmp_path / "leases") == [ONE, TWO]


def test_only_the_pairs_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "leases"
    forget_leases(file, [("10.0.0.1", ONE.mac)])
    assert not file.exists()
    file.write_text(TEXT)
    forget_leases(file, [("10.0.0.1", TWO.mac)])
    assert file.read_text() == TEXT
    forget_leases(file, [("10.0.0.2", TWO.mac)])
    assert read_leases(file) == [ONE]
    assert "2001:db8::7" in file.read_text()


def test_the_message_is_the_clients_own() -> None:
    packet = message(TWO, IPv4Address("10.0.0.9"))
    assert packet[:4] == bytes((1, 1, 6, 0))
    assert packet[12:16] == IPv4Address("10.0.0.2").packed
    assert packet[28:34].hex(":") == TWO.mac
    options = packet[240:]
    assert options == bytes((53, 1, 7, 54, 4, 10, 0, 0, 9, 61, 7)) + TWO.client_id + b"\xff"
